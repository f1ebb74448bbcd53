-- tornado.schema: what fits, what does not, and where.
local escape = require "tornado.escape"
local schema = require "tornado.schema"

local null = escape.null

-- The faults of a check as "path: message", in one text.
local function faults_of(s, value)
    local result, faults = s:check(value)
    assert.is_nil(result)
    local out = {}
    for i, fault in ipairs(faults) do out[i] = fault.path .. ": " .. fault.message end
    return table.concat(out, "\n")
end

describe("tornado.schema", function()
    it("takes strings by length, pattern and format", function()
        local name = schema.string { min = 2, max = 4 }
        assert.equal("añño", name:check("añño"))
        assert.equal(": expected at least 2 characters, got 1", faults_of(name, "ñ"))
        assert.equal(": expected at most 4 characters, got 5", faults_of(name, "abcde"))
        assert.equal(": expected a string, got 5", faults_of(name, 5))
        assert.equal(": expected a string, got null", faults_of(name, null))
        assert.equal(": expected a string, got an array", faults_of(name, { 1 }))
        assert.equal(": expected a string, got an object", faults_of(name, { a = 1 }))
        local slug = schema.string { pattern = "[a-z]+|x-y" }
        assert.equal("x-y", slug:check("x-y"))
        for _, bad in ipairs { "", "ab1", "ab\n", "A" } do
            assert.matches("expected text that matches %[a%-z%]%+|x%-y, got", faults_of(slug, bad))
        end
    end)

    it("knows formats", function()
        local good = {
            email = { "a@b.cd", "first.last+tag@sub.example.org" },
            url = { "http://a", "https://a.b/c?d=e#f", "http://[::1]:80/" },
            uuid = { "123e4567-e89b-12d3-a456-426614174000" },
            date = { "2024-02-29", "2000-02-29", "2023-12-31" },
            datetime = { "2026-01-31T08:00:00Z", "2026-01-31T08:00:00.5+02:00" },
        }
        local bad = {
            email = { "", "a", "a@b", "a@b.c\n", "a b@c.de", "@b.cd", "a@-b.cd", "a@b..cd" },
            url = { "ftp://a", "http://", "javascript:alert(1)", "http://a b", "http://a\n" },
            uuid = { "123e4567e89b12d3a456426614174000" },
            date = { "2023-02-29", "1900-02-29", "2023-04-31", "2023-13-01", "2023-1-1" },
            datetime = { "2026-01-31", "2026-01-31T24:00:00Z", "2026-02-30T00:00:00Z" },
        }
        for format, texts in pairs(good) do
            for _, text in ipairs(texts) do
                assert.equal(text, schema.string { format = format }:check(text))
            end
        end
        for format, texts in pairs(bad) do
            for _, text in ipairs(texts) do
                assert.is_nil(schema.string { format = format }:check(text), text)
            end
        end
    end)

    it("takes numbers, integers, booleans and enumerations", function()
        assert.equal(1.5, schema.number { min = 1, max = 2 }:check(1.5))
        assert.equal(": expected at most 2, got 2.5", faults_of(schema.number { max = 2 }, 2.5))
        assert.equal(": expected a number, got true", faults_of(schema.number {}, true))
        assert.equal(3, schema.integer():check(3))
        assert.equal(": expected an integer, got 1.5", faults_of(schema.integer(), 1.5))
        assert.equal(": expected an integer, got 1e+20", faults_of(schema.integer(), 1e20))
        assert.equal(": expected at least 0, got -1", faults_of(schema.integer { min = 0 }, -1))
        assert.equal(false, schema.boolean():check(false))
        assert.equal(': expected true or false, got "1"', faults_of(schema.boolean(), "1"))
        local enum = schema.enum { "a", "b", 3 }
        assert.equal("b", enum:check("b"))
        assert.equal(3, enum:check(3))
        assert.equal(': expected one of "a", "b", 3, got "c"', faults_of(enum, "c"))
        assert.equal(': expected one of "a", "b", 3, got an object', faults_of(enum, { a = 1 }))
    end)

    it("names every fault of objects and arrays, with its place", function()
        local person = schema.object {
            name = schema.string { min = 1 },
            age = schema.integer { min = 0 }:optional(),
            tags = schema.array(schema.string(), { max = 3 }),
            ["a/b~c"] = schema.boolean():optional(),
        }
        local value = person:check { name = "Ada", tags = {} }
        assert.same("Ada", value.name)
        assert.is_nil(value.age)
        assert.is_true(escape.is_array(value.tags))
        assert.equal(table.concat({
            "/a~1b~0c: expected true or false, got 0",
            '/age: expected an integer, got "x"',
            "/name: missing",
            "/tags/1: expected a string, got 5",
            '/nam: unknown, did you mean "name"?',
            "/zzzzzz: unknown",
        }, "\n"), faults_of(person, {
            age = "x", tags = { "a", 5 }, nam = "Ada", zzzzzz = 1, ["a/b~c"] = 0,
        }))
        assert.equal("/tags: expected an array, got an object",
            faults_of(person, { name = "x", tags = { a = 1 } }))
        assert.equal("/tags: expected at most 3 items, got 4",
            faults_of(person, { name = "x", tags = { "a", "b", "c", "d" } }))
        assert.equal(": expected an object, got an array", faults_of(person, { 1 }))
        assert.equal(": missing", faults_of(person, nil))
    end)

    it("lets unknown fields pass when open", function()
        local open = schema.object({ a = schema.string() }, { open = true })
        assert.same({ a = "x", b = { 1 } }, open:check { a = "x", b = { 1 } })
    end)

    it("fills in defaults, with a copy each time", function()
        local s = schema.object {
            n = schema.integer():default(5), list = schema.array(schema.string()):default {},
            b = schema.boolean():default(false),
        }
        local first = s:check {}
        assert.same({ 5, false }, { first.n, first.b })
        first.list[1] = "mine"
        assert.same({}, s:check({}).list)
        assert.equal("[]", escape.json_encode(s:check({}).list))
        local ok, err = pcall(function()
                local made = schema.integer():default("x")
                return made
            end)
        assert.is_false(ok)
        assert.matches('schema_spec.lua:%d+: bad default: expected an integer, got "x"', err)
    end)

    it("takes null where it may", function()
        assert.equal(null, schema.string():nullable():check(null))
        assert.equal("/a: expected a string, got null",
            faults_of(schema.object { a = schema.string():optional() }, { a = null }))
    end)

    it("leaves a shared schema as it is", function()
        local name = schema.string()
        local both = schema.object { a = name, b = name:optional() }
        assert.equal("/a: missing", faults_of(both, {}))
    end)

    it("stops listing after a hundred faults, and cuts texts between characters", function()
        local many = {}
        for i = 1, 250 do many[i] = 1 end
        local _, faults = schema.array(schema.string()):check(many)
        assert.equal(101, #faults)
        assert.equal("and 150 more faults", faults[101].message)
        local text = faults_of(schema.integer(), ("é"):rep(50) .. "x")
        assert.equal(': expected an integer, got "' .. ("é"):rep(29) .. '..."', text)
        text = faults_of(schema.object {}, { [("é"):rep(50)] = 1 })
        assert.matches("^/" .. ("é"):rep(39) .. ": unknown$", text)
    end)

    it("refuses mistakes in schemas", function()
        local cases = {
            { function() schema.string { mn = 1 } end, "unknown option" },
            { function() schema.string { min = "1" } end, "bad min" },
            { function() schema.string { pattern = "(" } end, "bad pattern" },
            { function() schema.string { format = "mail" } end, "bad format" },
            { function() schema.enum {} end, "bad values" },
            { function() schema.array("string") end, "bad item" },
            { function() schema.object { a = "string" } end, "bad field a" },
            { function() schema.object { schema.string() } end, "bad field" },
            { function() schema.object(nil) end, "bad fields" },
        }
        for _, case in ipairs(cases) do
            local ok, err = pcall(case[1])
            assert.is_false(ok)
            assert.matches("schema_spec.lua:%d+: ", err)
            assert.truthy(err:find(case[2], 1, true), err)
        end
    end)

    it("makes arguments what the schema says", function()
        local s = schema.object {
            n = schema.integer():optional(), x = schema.number():optional(),
            b = schema.boolean():optional(), e = schema.enum({ 1, "a" }):optional(),
            s = schema.string():optional(), l = schema.array(schema.integer()):optional(),
        }
        local function check(sent)
            return s:check_arguments(sent, function(name) return sent[name] end)
        end
        assert.same({ n = -5, x = 1500, b = true, e = 1, s = "" }, check {
            n = { "1", "-5" }, x = { "1.5e3" }, b = { "On" }, e = { "1" }, s = { "" },
        })
        assert.same({ 1, 2 }, { unpack(check({ l = { "1", "2" } }).l) })
        assert.same({}, check { n = { "" }, b = { "" } })
        for _, bad in ipairs { "1.0", "0x1", "1e3", " 1", "--1", "99999999999999999999" } do
            local _, faults = check { n = { bad } }
            assert.equal("/n", faults[1].path)
        end
        for _, bad in ipairs { "0x1", "nan", "inf", "1e999", "." } do
            local _, faults = check { x = { bad } }
            assert.matches("expected a number", faults[1].message)
        end
    end)
end)
