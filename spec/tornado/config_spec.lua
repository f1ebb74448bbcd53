-- tornado.config: defaults, ctornado.conf, the command line.
local config = require "tornado.config"

-- A configuration file with this text, for the length of the case.
local function write(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return path
end

local function read(text)
    local path = write(text)
    local values, why = config.read(path)
    os.remove(path)
    return values, why and why:gsub(path:gsub("%p", "%%%0"), "FILE")
end

local function parse(...)
    return config.parse_command_line({ ... }, { run = true, test = true })
end

describe("tornado.config", function()
    describe("options", function()
        it("have a name, a type, a default of that type, and a text", function()
            local seen = {}
            for _, option in ipairs(config.OPTIONS) do
                assert.matches("^[a-z][a-z_]*$", option[1])
                assert.is_nil(seen[option[1]])
                seen[option[1]] = true
                assert.is_not_nil(option[3])
                assert.equal("string", type(option[4]))
            end
            local values = assert(config.load {})
            assert.equal(8888, values.port)
            assert.equal("127.0.0.1", values.address)
        end)

        it("are listed for people", function()
            local text = config.help()
            for _, option in ipairs(config.OPTIONS) do
                assert.truthy(text:find("--" .. option[1] .. "=", 1, true))
            end
            assert.matches("%-%-port=INTEGER *TCP port[^\n]*%[8888%]", text)
            assert.matches("%-%-max_body_size=BYTES *request body[^\n]*%[1M%]", text)
        end)

        it("stand in ctornado.conf, each once, explained, with its default", function()
            local file = assert(io.open("ctornado.conf", "rb"))
            local text = file:read("*a")
            file:close()
            local all = write((("\n" .. text):gsub("\n%-%-([a-z])", "\n%1")))
            local values, why = config.read(all)
            os.remove(all)
            assert.is_nil(why)
            for _, option in ipairs(config.OPTIONS) do
                local name = option[1]
                if name ~= "config" then
                    local _, count = ("\n" .. text):gsub("\n%-?%-?" .. name .. " = ", "")
                    assert.same({ name, 1 }, { name, count })
                    assert.truthy(text:find("\n%-%- [^\n]+\n[%-%l_%s=\"]*" .. name .. " = "), name)
                end
                if name ~= "config" and name ~= "sites" then
                    assert.same({ name, option[3] }, { name, values[name] })
                end
            end
        end)
    end)

    describe("a file", function()
        it("sets options, in Lua", function()
            local values = assert(read [[
                port = 80 + 8
                address = "::1"
                debug = true
                max_body_size = "2M"
                handler_timeout = 1.5
                listen = { "127.0.0.1:1", "unix:/x" }
                log_level = "warning"
                trusted_downstream = { "10.0.0.7", "fd00::/8" }
                sites = { "a", { path = "b", host = "h", prefix = "/p" } }
            ]])
            assert.same({ port = 88, address = "::1", debug = true, max_body_size = 2097152,
                handler_timeout = 1.5, listen = { "127.0.0.1:1", "unix:/x" },
                log_level = "warning",
                trusted_downstream = { "10.0.0.7", "fd00::/8" },
                sites = { "a", { path = "b", host = "h", prefix = "/p" } } },
                values)
        end)

        it("may read the environment and what it has set", function()
            local values = assert(read [[
                address = env("CTORNADO_NO_SUCH_VARIABLE", "fallback")
                log_file = env "HOME"
                access_log = log_file .. "/log"
            ]])
            assert.equal("fallback", values.address)
            assert.equal(os.getenv("HOME"), values.log_file)
            assert.equal(os.getenv("HOME") .. "/log", values.access_log)
        end)

        it("is refused with file and line", function()
            for text, pattern in pairs {
                ["\nprot = 1"] = 'FILE:2: unknown option "prot" %(did you mean "port"%?%)',
                ["zzzzzz = 1"] = 'FILE:1: unknown option "zzzzzz"; see ctornado help',
                ['port = "x"'] = 'FILE:1: option port: expected an integer, got "x"',
                ["port = 1.5"] = "FILE:1: option port: expected an integer, got 1.5",
                ["port = 70000"] = "FILE:1: option port: 70000 is out of range %(0 to 65535%)",
                ["debug = 1"] = "FILE:1: option debug: expected true or false, got 1",
                ["max_body_size = -1"] = "option max_body_size: expected bytes",
                ['max_body_size = "1X"'] = "option max_body_size: expected bytes",
                ['log_level = "loud"'] = "option log_level: expected debug, info, warning",
                ['log_format = "xml"'] = 'option log_format: expected text or json, got "xml"',
                ["listen = 5"] = 'option listen: expected a list of "HOST:PORT" and .*, got 5',
                ["listen = { 5 }"] = "option listen: expected a list .*, got a table",
                ['listen = { { certfile = "x" } }'] = "option listen: expected a list",
                ['listen = { { "a", "b" } }'] = "option listen: expected a list",
                ['sites = { { host = "x" } }'] = "option sites: expected a list of folders",
                ['sites = { { path = "x", prefix = "p" } }'] = "option sites: expected a list",
                ['sites = { { path = "x", perfix = "/p" } }'] =
                    'sites: expected a list.* got a site with "perfix" %(did you mean "prefix"',
                ['sites = { { path = "x", prefix = "/p/" } }'] = 'got prefix = "/p/" %(it begins',
                ['sites = { { path = "x", host = 5 } }'] = "got host = 5$",
                ['sites = { path = "x" }'] = "got one site: put { } around it",
                ['sites = { one = "x" }'] = 'got "one"$',
                ['sites = { { "x" } }'] = "got a site with more than that",
                ['config = "x"'] = 'FILE:1: unknown option "config"',
                ["port = prot"] = 'FILE:1: nothing here is called "prot" %(did you mean "port"',
                ["os.exit()"] = 'nothing here is called "os"',
                ['io.open("x")'] = 'nothing here is called "io"',
                ['require "x"'] = 'nothing here is called "require"',
                ["port = = 1"] = "FILE:1: unexpected symbol",
                ["error('own words')"] = 'nothing here is called "error"',
                ["local x; x()"] = "FILE:1: attempt to call local 'x'",
                ["\27LJ"] = "FILE: expected Lua text, got bytecode",
            } do
                local values, why = read(text)
                assert.is_nil(values)
                assert.matches(pattern, why)
            end
        end)

        it("that is not there is fine, unless it was named", function()
            assert.is_table(config.load {})
            local values, why = config.load { config = "/no/such/file" }
            assert.is_nil(values)
            assert.matches("^/no/such/file: ", why)
            values, why = config.read("/no/such/file")
            assert.is_nil(values)
            assert.matches("/no/such/file", why)
        end)
    end)

    describe("the command line", function()
        it("has a command, options anywhere, and arguments", function()
            local line = assert(parse("serve", "--port=80", "--debug", "x", "--log-level=error"))
            assert.equal("serve", line.command)
            assert.same({ port = 80, debug = true, log_level = "error" }, line.options)
            assert.same({ "x" }, line.rest)
            assert.is_nil(parse().command)
            assert.equal("check", parse("--debug", "check").command)
        end)

        it("takes values of every type", function()
            assert.same({ port = 0, handler_timeout = 0.5, max_body_size = 3072, debug = false,
                address = "", listen = { "a", "b" }, sites = { "x", "y" } }, parse("--port=0",
                "--handler-timeout=0.5", "--max_body_size=3K", "--debug=no", "--address=",
                "--listen=a,b", "--sites=x,y").options)
            for text, value in pairs { ["true"] = true, yes = true, on = true, ["1"] = true,
                ["false"] = false, no = false, off = false, ["0"] = false } do
                assert.equal(value, parse("--debug=" .. text).options.debug)
            end
        end)

        it("leaves run and test their own arguments", function()
            local line = assert(parse("--debug", "run", "x.lua", "--port=5", "--what"))
            assert.same({ debug = true }, line.options)
            assert.same({ "x.lua", "--port=5", "--what" }, line.rest)
        end)

        it("has help and version in other words", function()
            for _, word in ipairs { "help", "--help", "-h" } do
                assert.equal("help", parse(word).command)
            end
            assert.equal("version", parse("--version").command)
        end)

        it("is refused with what is wrong", function()
            for argument, pattern in pairs {
                ["--prot=1"] = 'unknown option "prot" %(did you mean "port"%?%)',
                ["--port"] = "option port needs a value: %-%-port=",
                ["--port=x"] = 'option port: expected an integer, got "x"',
                ["--port=-1"] = "option port: %-1 is out of range",
                ["--debug=maybe"] = 'option debug: expected true or false, got "maybe"',
                ["--trusted-downstream=10.0.0.0/33"] = "trusted_downstream: expected a list of IP",
                ["--handler-timeout=soon"] = "option handler_timeout: expected seconds",
                ["--handler-timeout=0"] = "option handler_timeout: 0 is out of range",
                ["--"] = "unknown option", ["-x"] = "unknown option", ["-"] = "unknown option",
                ["--log-level=loud"] = "option log_level: expected debug",
            } do
                local line, why = parse(argument)
                assert.is_nil(line)
                assert.matches(pattern, why)
            end
        end)

        it("wins over the file, which wins over the defaults", function()
            local path = write('port = 1\naddress = "a"\nsites = { "file" }')
            local values = assert(config.load { config = path, port = 2 })
            assert.equal(2, values.port)
            assert.equal("a", values.address)
            assert.same({ "file" }, values.sites)
            assert.equal("info", values.log_level)
            values = assert(config.load { config = path, site = "mine" })
            assert.same({ "mine" }, values.sites)
            os.remove(path)
        end)

        it("names its addresses without the file's certificate", function()
            local path = write('listen = { "a:1" }\ncertfile = "x"')
            local values = assert(config.load { config = path })
            assert.same({ "a:1" }, values.listen)
            assert.same({ listen = path .. ":1", certfile = path .. ":2" }, values.places)
            values = assert(config.load { config = path, listen = { "b:2" } })
            assert.same({ { "b:2" }, "" }, { values.listen, values.certfile })
            assert.same({ certfile = path .. ":2" }, values.places)
            os.remove(path)
        end)
    end)
end)
