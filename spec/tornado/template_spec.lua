-- tornado.template: the language and its API. PARITY §5, §32.13 and §32.19. Errors and their lines
-- are in template/errors_spec.lua.
local template = require "tornado.template"

local steps = dofile "spec/tornado/steps.lua"

local Template, DictLoader = template.Template, template.DictLoader

local function render(text, namespace, options)
    return Template(text, options):generate(namespace)
end

local function load(files, name, namespace, options)
    return DictLoader(files, options):load(name):generate(namespace)
end

local function check(cases)
    for text, expected in pairs(cases) do
        assert.equal(expected, render(text, { x = 5, name = "<b>&\"'", list = { "a", "b", "c" },
            empty = {}, yes = true, no = false }), text)
    end
end

describe("tornado.template", function()
    it("writes expressions, escaped", function()
        check {
            ["Hello {{ name }}!"] = "Hello &lt;b&gt;&amp;&quot;&#x27;!",
            ["{{x}}{{ x + 1 }}{{ x .. '' }}"] = "565",
            ["{% raw name %}"] = "<b>&\"'",
            ["{{ nil }}|{{ yes }}|{{ no }}|{{ 1.5 }}"] = "|true|false|1.5",
            ["{{ ('a'):gsub('a', 'b') }}"] = "b",
            ["{{ x -- a note\n }}"] = "5",
            ["{{ setmetatable({}, { __tostring = function() return '<' end }) }}"] = "&lt;",
            ["{{ escape('<') }}"] = "&amp;lt;",
            ["{{ url_escape('a b') }} {{ squeeze(' a  b ') }}"] = "a+b a b",
            ["{% raw json_encode({ a = 1 }) %}"] = '{"a":1}',
            ["{{ #list }} {{ string.rep('a', 3) }} {{ math.max(1, 2) }}"] = "3 aaa 2",
        }
    end)

    it("ends an expression where Lua does, not at the first braces", function()
        check {
            ["{{ ({{1}})[1][1] }}"] = "1",
            ["{{ ({a={b={3}}}).a.b[1] }}"] = "3",
            ["{{ ({a={1}}).a[1]}}}"] = "1}",
            ["{{ '}}' }}{{ \"}}\\\"}}\" }}{{ [[}}]] }}{{ [==[}}]]]==] }}"] =
                "}}}}&quot;}}}}}}]]",
            ["{% set y = '%}' %}{{ y }}"] = "%}",
            ["{% set y = {{1}} %}{{ y[1][1] }}"] = "1",
        }
    end)

    it("takes comments and escaped braces", function()
        check {
            ["a{# b {{ x }} #}c"] = "ac",
            ["a{% comment it's {{ nothing %}c"] = "ac",
            ["{{! x }} {%! end %} {#! c #}"] = "{{ x }} {% end %} {# c #}",
            ["{{{ x }}} {{{{ x }}}}"] = "{5} {{5}}",
            ["{ x } }} %} #} {"] = "{ x } }} %} #} {",
            [""] = "", ["{"] = "{", ["{{!"] = "{{", ["\\n\"\0\r\n"] = "\\n\"\0\r\n",
        }
    end)

    it("has conditions", function()
        for x, expected in pairs { [1] = "one", [2] = "two", [3] = "three", [4] = "more" } do
            assert.equal(expected, render("{% if x == 1 %}one{% elif x == 2 %}two" ..
                "{% elseif x == 3 %}three{% else %}more{% end %}", { x = x }))
        end
        check { ["{% if\n not\tno %}y{% end %}"] = "y" }
    end)

    it("has Lua's loops, and one over the elements of a list", function()
        check {
            ["{% for i = 1, 3 %}{{ i }}{% end %}"] = "123",
            ["{% for i = 3, 1, -1 %}{{ i }}{% end %}"] = "321",
            ["{% for i, v in ipairs(list) %}{{ i }}{{ v }}{% end %}"] = "1a2b3c",
            ["{% for k, v in pairs({ q = 1 }) %}{{ k }}{{ v }}{% end %}"] = "q1",
            ["{% for k in pairs({ q = 1 }) %}{{ k }}{% end %}"] = "q",
            ["{% for v in list %}{{ v }}{% end %}"] = "abc",
            ["{% for v in {'x', 'y'} %}{{ v }}{% end %}"] = "xy",
            ["{% for w in ('a b'):gmatch('%a') %}<{{ w }}>{% end %}"] = "<a><b>",
            ["{% for v in list %}{% for w in list %}{{ v }}{{ w }} {% end %}{% end %}"] =
                "aa ab ac ba bb bc ca cb cc ",
            ["{% set i = 0 %}{% while i < 3 %}{{ i }}{% set i = i + 1 %}{% end %}"] = "012",
        }
    end)

    it("leaves loops, goes on in them, and sees when they were not left", function()
        check {
            ["{% for i=1,9 %}{% if i == 3 %}{% break %}{% end %}{{ i }}{% else %}E{% end %}"] =
                "12",
            ["{% for i=1,3 %}{% if i == 2 %}{% continue %}{% end %}{{ i }}{% else %}E{% end %}"] =
                "13E",
            ["{% for v in empty %}{{ v }}{% else %}none{% end %}"] = "none",
            ["{% set i = 0 %}{% while true %}{% set i = i + 1 %}" ..
                "{% if i > 3 %}{% break %}{% end %}{% if i == 2 %}{% continue %}{% end %}" ..
                "{{ i }}{% end %}"] = "13",
            ["{% for i=1,2 %}{% for j=1,2 %}{% break %}{% else %}{% break %}{% end %}{{ i }}" ..
                "{% end %}"] = "12",
        }
    end)

    it("catches errors", function()
        check {
            ["{% try %}a{{ error('x', 0) }}b{% except e %}[{{ e }}]{% else %}E{% end %}"] = "a[x]",
            ["{% try %}a{% except %}b{% else %}c{% finally %}d{% end %}"] = "acd",
            ["{% try %}{{ error({}) }}{% except Exception as e %}{{ type(e) }}{% finally %}d" ..
                "{% end %}"] = "tabled",
            ["{% try %}{% try %}{{ error('x', 0) }}{% finally %}f{% end %}{% except e %}{{ e }}" ..
                "{% end %}"] = "fx",
            ["{% for i=1,4 %}{% try %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}" ..
                "{% end %}{{ i }}{% except %}{% finally %}f{% end %};{% else %}E{% end %}"] =
                "1f;f3f;f",
            ["{% for i=1,3 %}{% try %}{{ error('') }}{% except %}{% break %}{% end %}{% end %}"] =
                "",
        }
    end)

    it("sets names, for all that follows", function()
        check {
            ["{% set a, b = 1, 2 %}{% if yes %}{% set a = 3 %}{% end %}{{ a }}{{ b }}"] = "32",
            ["{% set x = x + 1 %}{{ x }}"] = "6",
        }
        local names = { x = 1 }
        render("{% set x = 2 %}", names)
        assert.same({ x = 1 }, names)
        assert.equal("12", load({ a = "{% set v = 1 %}{% include b %}{{ v }}",
            b = "{{ v }}{% set v = 2 %}" }, "a"))
    end)

    it("imports modules and names from them", function()
        check {
            ['{% import "tornado.escape" as e %}{{ e.squeeze("a  b") }}'] = "a b",
            ['{% import tornado.escape %}{{ escape.squeeze("a  b") }}'] = "a b",
            ['{% from "tornado.escape" import squeeze, url_escape as u %}{{ squeeze(u("a b")) }}'] =
                "a+b",
        }
    end)

    it("applies functions to what a part writes", function()
        check {
            ["{% apply string.upper %}a{{ x }}<{% end %}b"] = "A5<b",
            ["{% apply function(s) return '[' .. s .. ']' end %}a" ..
                "{% apply string.upper %}b{% end %}{% end %}"] = "[aB]",
            ["{% for v in list %}{% apply string.upper %}" ..
                "{{ v }}{% set v = 'z' %}{{ v }}{% end %}{{ v }}{% end %}"] = "AZaBZbCZc",
            ["{% set y = 1 %}{% apply string.upper %}{% set y = 'q' %}{{ y }}{% end %}{{ y }}"] =
                "Q1",
        }
    end)

    it("escapes as the file says, wherever it says it", function()
        check {
            ["{{ name }}{% autoescape nil %}"] = "<b>&\"'",
            ["{% autoescape None %}{{ name }}"] = "<b>&\"'",
            ["{% autoescape url_escape %}{{ 'a b' }}{{ x }}"] = "a+b5",
        }
        assert.equal("<", render("{{ '<' }}", nil, { autoescape = false }))
        assert.equal("<", load({ a = "{{ '<' }}" }, "a", nil, { autoescape = false }))
        local files = { a = "{% autoescape nil %}{{ '<' }}{% include b %}", b = "{{ '<' }}" }
        assert.equal("<&lt;", load(files, "a"))
        assert.equal("X", render("{{ 'x' }}", { xhtml_escape = string.upper }))
    end)

    describe("blocks", function()
        local FILES = {
            base = "<{% block a %}A{% end %}|{% block b %}B{% block c %}C{% end %}{% end %}>",
            child = "ignored{% extends base %}{% block a %}{{ '1' }}{% end %} ignored",
            grandchild = "{% extends 'child' %}{% block c %}3{% super %}{% end %}" ..
                "{% block a %}({% super %}){% end %}",
            twice = "{% block x %}1{% end %}{% block x %}2{% end %}",
        }

        it("are what the last descendant says", function()
            assert.equal("<A|BC>", load(FILES, "base"))
            assert.equal("<1|BC>", load(FILES, "child"))
            assert.equal("<(1)|B3C>", load(FILES, "grandchild"))
            assert.equal("22", load(FILES, "twice"))
        end)

        it("may be in files that are included, and in loops", function()
            assert.equal("[x]", load({ a = "{% include b %}", b = "[{% block c %}{% end %}]",
                d = "{% extends a %}{% block c %}x{% end %}" }, "d"))
            assert.equal("1;2;", load({ a = "{% for i = 1, 2 %}{% block c %}{% end %}{% end %}",
                d = "{% extends a %}{% block c %}{{ i }};{% end %}" }, "d"))
        end)

        it("escape as the file does that has the chosen body", function()
            assert.equal("&lt;<", load({
                a = "{% autoescape nil %}{% block x %}{% end %}{{ '<' }}",
                b = "{% extends a %}{% block x %}{{ '<' }}{% end %}",
            }, "b"))
        end)
    end)

    describe("whitespace", function()
        it("is kept, or reduced by one of two ways", function()
            local text = "a  b\t\tc \n\n  d  "
            assert.equal(text, template.filter_whitespace("all", text))
            assert.equal("a b c\nd ", template.filter_whitespace("single", text))
            assert.equal("a b c d ", template.filter_whitespace("oneline", text))
            local ok, err = pcall(template.filter_whitespace, "x", "")
            assert.is_false(ok)
            assert.matches("invalid whitespace mode x", err)
        end)

        it("goes by the name, the option, the loader and the directive", function()
            assert.equal("a  b", render("a  b"))
            assert.equal("a b", render("a  b", nil, { name = "x.html" }))
            assert.equal("a b", render("a  b", nil, { name = "x.js" }))
            assert.equal("a  b", render("a  b", nil, { name = "x.html", whitespace = "all" }))
            assert.equal("a b", render("a  b", nil, { compress_whitespace = true }))
            assert.equal("a\n b", load({ ["a.html"] = "a\n b" }, "a.html", nil,
                { whitespace = "all" }))
            assert.equal("a  b\nc d", render("a  b\n{% whitespace oneline %}c\nd"))
            assert.equal("<pre>  </pre> b", render("<pre>  </pre>{# #}  b", nil,
                { name = "x.html" }))
            assert.is_false(pcall(Template, "", { whitespace = "all", compress_whitespace = true }))
        end)
    end)

    describe("a loader", function()
        it("finds names relative to the file that has them, or to the root", function()
            local files = {
                ["a/x"] = "{% include y %}{% include ../b/z %}{% include /top %}",
                ["a/y"] = "y", ["b/z"] = "z{% include ./w %}", ["b/w"] = "w", top = "t",
            }
            assert.equal("yzwt", load(files, "a/x"))
            assert.equal("yzwt", load(files, "/a/../a/./x"))
        end)

        it("keeps templates until it is reset, and brings names of its own", function()
            local files = { a = "1{{ mine }}" }
            local loader = DictLoader(files, { namespace = { mine = "m" } })
            assert.equal("1m", loader:load("a"):generate {})
            assert.equal("1n", loader:load("a"):generate { mine = "n" })
            files.a = "2"
            assert.equal("1m", loader:load("a"):generate {})
            assert.equal(loader:load("a"), loader:load("a"))
            loader:reset()
            assert.equal("2", loader:load("a"):generate {})
        end)

        it("reads files of its folder and no others", function()
            local root = os.tmpname()
            os.remove(root)
            os.execute("mkdir -p " .. root .. "/in/sub")
            finally(function() os.execute("rm -rf " .. root) end)
            for name, text in pairs { ["in/a.html"] = "{% include sub/b.html %}!",
                ["in/sub/b.html"] = "b", ["out.html"] = "secret",
                ["in/bad.html"] = "{% include ../out.html %}" } do
                local file = assert(io.open(root .. "/" .. name, "w"))
                file:write(text)
                file:close()
            end
            local loader = template.Loader(root .. "/in")
            assert.equal("b!", loader:load("a.html"):generate())
            for _, name in ipairs { "../out.html", "/../out.html", "sub/../../out.html", "", "..",
                "a.html\0", "sub", "none.html", "bad.html", root .. "/out.html" } do
                assert.is_false(pcall(loader.load, loader, name), name)
            end
        end)

        it("takes no options that it does not know", function()
            assert.is_false(pcall(DictLoader, {}, { auto_escape = false }))
            assert.is_false(pcall(template.Loader, nil))
            assert.is_false(pcall(Template, 1))
        end)
    end)

    it("renders one template within itself, and beside itself", function()
        local page
        page = Template "{{ n }}{% if n > 0 %}{% raw again(n - 1) %}{% end %}{{ n }}"
        local function again(n) return page:generate { n = n, again = again } end
        assert.equal("210012", again(2))
        local co = coroutine.wrap(function(n)
            return Template "":generate() .. page:generate { n = n, again = coroutine.yield }
        end)
        assert.equal(0, co(1))
        assert.equal("210012", again(2))
        assert.equal("1x1", co "x")
    end)

    it("sees its own names each time, when it is compiled too", function()
        local page = Template("{{ x }}{% for i = 1, 3 %}{{ x }}{% for v in list %}{{ v }}" ..
            "{% end %}{% end %}")
        for x = 1, 2000 do
            assert.equal(x .. (x .. "<" .. x):rep(3):gsub("<", "&lt;"),
                page:generate { x = x, list = { "<", x } })
        end
    end)

    it("compiles to one function that makes no table in its loops", function()
        local page = Template("{% for row in rows %}<td>{{ row.id }}</td>{{ row.text }}{% end %}")
        local body = page.code:match "\n(.*)$"
        assert.is_nil(body:find("[{}]"))
        assert.is_nil(body:find("function", 1, true))
        assert.equal(1, select(2, body:gsub("_tt_put", "")))
    end)

    -- Instructions of Lua, and escapes and puts in C, which are the same ones, count: not time.
    it("renders 1,000 rows in no more than twice the steps of code by hand", function()
        local buffer, escape = require "string.buffer", require("tornado.escape").xhtml_escape
        local page = Template("<table>{% for row in rows %}<tr><td>{{ row.id }}</td>" ..
            "<td>{{ row.name }}</td><td>{% if row.on %}yes{% else %}no{% end %}</td></tr>" ..
            "{% end %}</table>")
        local function by_hand(rows)
            local out = buffer.new()
            out:put("<table>")
            for i = 1, #rows do
                local row = rows[i]
                out:put("<tr><td>", row.id, "</td><td>", escape(row.name), "</td><td>",
                    row.on and "yes" or "no", "</td></tr>")
            end
            out:put("</table>")
            return out:tostring()
        end
        local rows = {}
        for i = 1, 1000 do rows[i] = { id = i, name = "<" .. i .. ">", on = i % 2 == 0 } end
        assert.equal(by_hand(rows), page:generate { rows = rows })
        local hand, made = steps(by_hand, rows), steps(page.generate, page, { rows = rows })
        assert(hand > 100)
        assert(made <= 2 * hand, made .. " hundred steps, by hand " .. hand)
    end)
end)
