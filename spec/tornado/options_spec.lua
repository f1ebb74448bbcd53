-- tornado.options: definitions, the command line, files, --help. PARITY §21.
local core = require "tornado.core"
local log = require "tornado.log"
local options = require "tornado.options"
local testing = require "tornado.testing"
local values = require "tornado.options.values"

local function parser(definitions)
    local made = options.OptionParser()
    for name, fields in pairs(definitions or {}) do made:define(name, fields) end
    return made
end

-- The message of the Error that fn raises.
local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.truthy(type(err) == "table" and err:is(options.Error), tostring(err))
    return err.message
end

local function parse(made, ...)
    local rest = made:parse_command_line { [0] = "program", ... }
    return rest
end

-- Runs fn with a file of this text, and removes it.
local function with_file(text, fn)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    local ok, err = pcall(fn, path)
    os.remove(path)
    if not ok then error(err, 0) end
end

describe("tornado.options", function()
    describe("a definition", function()
        it("has the type of its default, or is a string", function()
            local made = parser { a = { default = 1 }, b = { default = 1.5 }, c = {},
                d = { default = true }, e = { default = "x" },
                f = { default = { year = 2013, month = 1, day = 1 } } }
            made:parse_command_line { "--a=2", "--b=2", "--c=2", "--d=0", "--e=2", "--f=20130102" }
            assert.same({ 2, 2, "2", false, "2", 2 },
                { made.a, made.b, made.c, made.d, made.e, made.f.day })
            assert.has_error(function() made:define("g", { default = {} }) end)
            assert.has_error(function() made:define("g", { type = "integer" }) end)
            assert.has_error(function() made:define("g", { typ = "int" }) end)
            assert.has_error(function() made:define(5) end)
        end)

        it("comes once for each name", function()
            local made = parser { a_b = {} }
            assert.matches("^Option 'a%-b' already defined in .*options_spec.lua$",
                error_of(made.define, made, "a-b"))
            assert.equal("Option 'help' already defined in ", error_of(made.define, made, "help"))
        end)

        it("belongs to a group", function()
            local made = parser { port = { default = 1, group = "net" }, name = {} }
            local groups = made:groups()
            assert.same({ 3, "" }, { #groups, groups[1] })
            local others = groups[2] .. " " .. groups[3]
            assert.truthy(others:find("options_spec.lua", 1, true))
            assert.truthy(others:find("net", 1, true))
            assert.same({ port = 1 }, made:group_dict("net"))
            assert.same({ port = 1 }, made:group_dict(""))
            assert.same({ port = 1 }, made:as_dict())
        end)
    end)

    describe("an option", function()
        it("is read and set as a field, with dashes or underscores", function()
            local made = parser { a_b = { default = 1 } }
            made["a-b"] = 2
            assert.same({ 2, 2 }, { made.a_b, made["a-b"] })
            made.a_b = nil
            assert.is_nil(made.a_b)
            assert.is_true(made:contains("a-b"))
            assert.is_false(made:contains("b"))
            assert.equal("Unrecognized option 'x'", error_of(function() return made.x end))
            assert.equal("Unrecognized option 'x'", error_of(function() made.x = 1 end))
        end)

        it("takes values of its type alone", function()
            local made = parser { i = { type = "int" }, f = { type = "float" }, s = {},
                b = { type = "bool" }, d = { type = "datetime" }, t = { type = "timedelta" },
                l = { type = "int", multiple = true }, any = { type = tonumber } }
            for name, bad in pairs { i = 1.5, f = "1", s = 1, b = 1, d = 5, t = "1h" } do
                assert.matches(("^Option '%s' is required to be a %%l+ %%(%%l+ given%%)$"):format(
                    name), error_of(function() made[name] = bad end))
            end
            assert.equal("Option 'i' is required to be a int (string given)",
                error_of(function() made.i = "1" end))
            for _, bad in ipairs { 1, { "x" }, { a = 1 }, "1" } do
                assert.equal("Option 'l' is required to be a list of int",
                    error_of(function() made.l = bad end))
            end
            made.l, made.f, made.any = { 1, 2 }, 5, {}
            assert.same({ 1, 2 }, made.l)
        end)

        it("calls back with each value", function()
            local seen = {}
            local made = parser { a = { type = "int", callback = function(value)
                seen[#seen + 1] = value
            end } }
            made:parse_command_line { "--a=1", "--a=2" }
            made.a = 3
            assert.same({ 1, 2, 3 }, seen)
        end)

        it("is listed in the order of definition", function()
            local made, names = options.OptionParser(), {}
            made:define("z", { default = 1 })
            made:define("a")
            for name in made:items() do names[#names + 1] = name end
            assert.same({ "help", "z", "a" }, names)
        end)
    end)

    describe("the command line", function()
        it("has options before the rest", function()
            local made = parser { port = { default = 1 }, debug = { default = false }, s = {} }
            assert.same({ "x", "--port=9" },
                parse(made, "--port=2", "-port=3", "---port=4", "--debug", "x", "--port=9"))
            assert.same({ 4, true }, { made.port, made.debug })
            assert.same({ "--port=9" }, parse(made, "--port=5", "--", "--port=9"))
            assert.same({}, parse(made))
            parse(made, "--s=a=b=")
            assert.equal("a=b=", made.s)
        end)

        it("is refused with what is wrong", function()
            local made = parser { port = { default = 1 } }
            local printed = 0
            local print_help = options.OptionParser.print_help
            options.OptionParser.print_help = function() printed = printed + 1 end
            finally(function() options.OptionParser.print_help = print_help end)
            local function refused(...)
                return error_of(made.parse_command_line, made, { ... })
            end
            assert.equal("Option 'port' requires a value", refused("--port", "5"))
            assert.equal(0, printed)
            assert.equal("Unrecognized command line option: 'prot'", refused("--prot=1"))
            assert.equal("Unrecognized command line option: ''", refused("-"))
            assert.equal("Unrecognized command line option: 'a-b'", refused("--a_b"))
            assert.equal(3, printed)
            assert.equal("Option 'port': invalid int 'x'", refused("--port=x"))
        end)

        it("has lists, and ranges with both ends", function()
            local made = parser { i = { type = "int", multiple = true }, s = { multiple = true } }
            assert.same({}, made.i)
            for text, list in pairs { ["1"] = { 1 }, ["1:3"] = { 1, 2, 3 }, ["3:1"] = {},
                ["1,5:6,9"] = { 1, 5, 6, 9 }, ["4:"] = { 4 }, ["-1:1"] = { -1, 0, 1 } } do
                made:parse_command_line { "--i=" .. text }
                assert.same(list, made.i)
            end
            made:parse_command_line { "--s=a,b,,c", "--s=" }
            assert.same({ "" }, made.s)
            assert.equal("Option 'i': invalid int ''",
                error_of(made.parse_command_line, made, { "--i=" }))
        end)

        it("runs the parse callbacks at the end", function()
            local made, calls = parser { a = {} }, 0
            made:add_parse_callback(function() calls = calls + 1 end)
            made:parse_command_line({ "--a=1" }, false)
            assert.equal(0, calls)
            made:parse_command_line { "--a=1" }
            made:run_parse_callbacks()
            assert.equal(2, calls)
            assert.has_error(function() made:add_parse_callback(5) end)
        end)
    end)

    describe("text", function()
        it("becomes numbers and booleans", function()
            for text, value in pairs { ["5"] = 5, ["-5"] = -5, ["+5"] = 5, [" 7 "] = 7 } do
                assert.equal(value, values.parse.int(text))
            end
            for _, text in ipairs { "", "1.0", "0x10", "1e3", "9007199254740993", "1_000" } do
                assert.is_nil((values.parse.int(text)))
            end
            for text, value in pairs { ["5"] = 5, ["-.5"] = -0.5, ["1e3"] = 1000,
                ["1.5E-1"] = 0.15, inf = math.huge, ["-Infinity"] = -math.huge } do
                assert.equal(value, values.parse.float(text))
            end
            for _, text in ipairs { "", "x", "0x10", "1.2.3", "e5", "." } do
                assert.is_nil((values.parse.float(text)))
            end
            for text, value in pairs { ["false"] = false, FALSE = false, ["0"] = false, F = false,
                ["true"] = true, no = true, [""] = true, ["1"] = true } do
                assert.equal(value, values.parse.bool(text))
            end
        end)

        it("becomes dates", function()
            for text, expected in pairs {
                ["Sun Apr 28 18:35:01 2013"] = "2013-4-28 18:35:1",
                ["2013-04-28 18:35:01"] = "2013-4-28 18:35:1",
                ["2013-04-28 18:35"] = "2013-4-28 18:35:0",
                ["2013-04-28T18:35"] = "2013-4-28 18:35:0",
                ["20130428 18:35:01"] = "2013-4-28 18:35:1",
                ["20130428 18:35"] = "2013-4-28 18:35:0",
                ["2013-04-28"] = "2013-4-28 0:0:0", ["20130428"] = "2013-4-28 0:0:0",
                ["18:35:01"] = "1900-1-1 18:35:1", ["18:35"] = "1900-1-1 18:35:0",
                ["2012-02-29"] = "2012-2-29 0:0:0",
            } do
                local d = assert(values.parse.datetime(text))
                assert.equal(expected, ("%d-%d-%d %d:%d:%d"):format(d.year, d.month, d.day, d.hour,
                    d.min, d.sec))
            end
            for _, text in ipairs { "", "now", "2013-02-29", "2013-13-01", "24:00", "18:60",
                "2013-04-28 18:35 Z", "Foo Apr 28 18:35:01 2013", "Sun Foo 28 18:35:01 2013" } do
                local made = parser { when = { type = "datetime" } }
                assert.equal(("Unrecognized date/time format: '%s'"):format(text),
                    error_of(made.parse_command_line, made, { "--when=" .. text }))
            end
        end)

        it("becomes lengths of time", function()
            for text, seconds in pairs { ["90"] = 90, ["1h 30m"] = 5400, ["2.5 days"] = 216000,
                ["1w"] = 604800, ["-5min"] = -300, ["500ms"] = 0.5, ["1h 1 minutes 1"] = 3661,
                [" 3 sec "] = 3, ["1e2s"] = 100, [""] = 0, ["1s2"] = false, ["2d3h"] = false,
                ["x"] = false, ["1 parsec"] = false, ["1.5.5"] = 2, ["H"] = false,
                ["1H"] = false } do
                local value = values.parse.timedelta(text)
                assert.equal(seconds or nil, value, text)
            end
        end)

        it("becomes what a function makes of it", function()
            local made = parser { n = { type = tonumber }, u = { type = string.upper,
                multiple = true } }
            made:parse_command_line { "--n=0x10", "--u=a,b" }
            assert.equal(16, made.n)
            assert.same({ "A", "B" }, made.u)
            assert.equal("Option 'n': invalid value 'x'",
                error_of(made.parse_command_line, made, { "--n=x" }))
        end)
    end)

    describe("a file", function()
        local function define()
            return parser { port = { default = 80 }, name = {}, ids = { type = "int",
                multiple = true }, hosts = { multiple = true }, span = { type = "timedelta" },
                a_b = { default = 1 } }
        end

        it("sets the options that it assigns", function()
            with_file([[
                port = "8" .. "1"
                name = __file__
                ids = "1:3"
                hosts = { "a", "b" }
                span = "1m"
                a_b = port + 1
                something_else = { 1 }
            ]], function(path)
                local made = define()
                made:parse_config_file(path)
                assert.same({ 81, path, 60, 82 }, { made.port, made.name, made.span, made.a_b })
                assert.same({ 1, 2, 3 }, made.ids)
                assert.same({ "a", "b" }, made.hosts)
            end)
        end)

        it("is refused with what is wrong", function()
            for text, pattern in pairs {
                ["port = = 1"] = ":1: unexpected symbol", ["\27LJ"] = "expected Lua text",
                ["os.exit()"] = ':1: nothing here is called "os"',
                ["port = 1.5"] = "^Option 'port' is required to be a int %(float given%)$",
                ["name = 5"] = "^Option 'name' is required to be a string %(int given%)$",
                ["ids = 5"] = "^Option 'ids' is required to be a list of int or a " ..
                    "comma%-separated string$",
                ["ids = { 'x' }"] = "^Option 'ids' is required to be a list of int$",
                ["port = 'x'"] = "^Option 'port': invalid int 'x'$",
            } do
                with_file(text, function(path)
                    local made = define()
                    assert.matches(pattern, error_of(made.parse_config_file, made, path))
                end)
            end
            local made = define()
            assert.matches("/no/such/file", error_of(made.parse_config_file, made, "/no/such/file"))
        end)

        it("may be named by an option, and parsed in the middle", function()
            with_file('port = 5\nname = "file"', function(path)
                local made, calls = define(), 0
                made:define("config", { callback = function(name)
                    made:parse_config_file(name, false)
                end })
                made:add_parse_callback(function() calls = calls + 1 end)
                made:parse_command_line { "--port=4", "--config=" .. path, "--name=line" }
                assert.same({ 5, "line", 1 }, { made.port, made.name, calls })
            end)
        end)

        it("knows where it is", function()
            assert.equal("/x/y", core.absolute("/x/y"))
            assert.matches("^/.*[^/]/x$", core.absolute("x"))
        end)
    end)

    describe("--help", function()
        it("lists groups and options, sorted and wrapped", function()
            local made = options.OptionParser()
            made:define("z_last", { default = "d", group = "b", metavar = "TEXT", help =
                "a help text that is longer than the column, which has forty-four letters" })
            made:define("a", { group = "b", type = "bool" })
            made:define("x", { group = "a", default = { 1, 2 }, type = "int", multiple = true,
                help = "numbers" })
            made:define("a_name_that_is_longer_than_thirty_letters", { group = "a", help = "h" })
            local written = {}
            made:print_help { write = function(_, ...)
                for i = 1, select("#", ...) do written[#written + 1] = (select(i, ...)) end
            end }
            local text = table.concat(written)
            local pad = (" "):rep(35)
            assert.equal(table.concat({ "", "", "Options:", "",
                "  --help                           show this help information",
                "", "a options:", "",
                "  --a-name-that-is-longer-than-thirty-letters ", pad .. "h",
                "  --x                              numbers (default 1,2)",
                "", "b options:", "",
                "  --a                              ",
                "  --z-last=TEXT                    a help text that is longer than the column,",
                pad .. "which has forty-four letters (default d)", "", "" }, "\n"),
                text:match("^Usage: [^\n]* %[OPTIONS%](.*)$"))
        end)

        it("goes to stderr, and ends the program", function()
            with_file([[
                local options = require "tornado.options"
                options.define("port", { default = 8888, help = "where to listen" })
                options.parse_command_line()
                print("not reached")
            ]], function(path)
                local code, out, err = testing.run_command { "run", path, "--help" }
                assert.equal(0, code)
                assert.equal("", out)
                assert.matches("^Usage: [^\n]* %[OPTIONS%]\n\nOptions:\n\n  %-%-help ", err)
                assert.matches("\n  %-%-port +where to listen %(default 8888%)\n", err)
                assert.matches("tornado/log.lua options:\n", err)
            end)
        end)
    end)

    describe("of the log", function()
        local function level_after(...)
            local before = core.log_level()
            local made = options.OptionParser()
            log.define_logging_options(made)
            made:parse_command_line { ... }
            local level = core.log_level()
            core.log_set_level(before)
            log.set_format "text"
            return level
        end

        it("set the level when they are given", function()
            local before = core.log_level()
            assert.equal(3, level_after("--logging=error"))
            assert.equal(1, level_after("--logging=INFO"))
            assert.equal(before, level_after())
            assert.equal(before, level_after("--logging=none"))
            assert.has_error(function() level_after("--logging=loud") end)
            assert.has_error(function() level_after("--log-format=xml") end)
            core.log_set_level(before)
        end)

        it("choose the file", function()
            local path = os.tmpname()
            with_file([[
                local options = require "tornado.options"
                options.parse_command_line()
                require("tornado.log").app_log:warning("hello")
            ]], function(script)
                local code, _, err = testing.run_command { "run", script,
                    "--log-file-prefix=" .. path, "--log_format=json" }
                assert.same({ 0, "" }, { code, err })
                code, _, err = testing.run_command { "run", script, "--log_to_stderr",
                    "--log-file-prefix=" .. path }
                assert.equal(1, code)
                assert.matches("log_file_prefix or to stderr, not to both", err)
            end)
            local file = assert(io.open(path))
            local text = file:read("*a")
            file:close()
            os.remove(path)
            assert.matches('^{"time":"[^"]+","level":"warning","logger":"app",' ..
                '"message":"hello"}\n$', text)
        end)
    end)

    it("has one parser for all", function()
        assert.is_true(options.options:contains("logging"))
        assert.is_nil(options.options.help)
        local written = {}
        options.print_help { write = function(_, text) written[#written + 1] = text end }
        assert.matches("%-%-log%-file%-prefix=PATH", table.concat(written))
    end)

    it("lends a view whose changes can be undone", function()
        local made = parser { port = { default = 8888 }, name = { type = "string" } }
        local view = made:mockable()
        view.port = 1
        view.name = "x"
        assert.same({ 1, "x", 1 }, { made.port, made.name, view.port })
        assert.has_error(function() view.port = 2 end, "don't reuse mockable objects")
        view.port, view.name = nil, nil
        assert.equal(8888, made.port)
        assert.is_nil(made.name)
        view.port = 3
        assert.equal(3, made.port)
        view.port = nil
        assert.has_error(function() view.port = nil end, "port was not set")
        assert.matches("Option 'port' is required to be a",
            error_of(function() view.port = "x" end), 1, true)
    end)
end)
