-- tornado.command: the command line, as a user meets it: exit codes, and what is printed where.
local testing = require "tornado.testing"
local util = require "tornado.util"

local new_folder = dofile "spec/tornado/new_folder.lua"

local run = testing.run_command

-- A file with this text, removed behind the case.
local function write(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    finally(function() os.remove(path) end)
    return path
end

local function expect(arguments, code, out, err)
    local real_code, real_out, real_err = run(arguments)
    assert.matches(out, real_out)
    assert.matches(err, real_err)
    assert.equal(code, real_code)
end

-- Starts `serve`, stopped behind the case; returns the command and its address.
local function serve(...)
    local command = testing.start_command { "serve", "--port=0", ... }
    finally(function()
        if command.pipe then testing.stop_command(command, "KILL") end
    end)
    local address = testing.wait_until(function()
        return testing.output_of(command):match(" on http://(%S+)")
    end)
    return command, address
end

local function stop(command, signal)
    local code, text = testing.stop_command(command, signal)
    command.pipe = nil
    return code, text
end

describe("tornado.command", function()
    it("has version and help", function()
        expect({ "version" }, 0, "^ctornado " .. util.version:gsub("%.", "%%.") .. " %(", "^$")
        expect({ "--version" }, 0, "^ctornado ", "^$")
        for _, word in ipairs { "help", "--help", "-h" } do
            expect({ word }, 0, "ctornado %[serve%].*%-%-port=INTEGER", "^$")
        end
        expect({ "run", "--help" }, 0, "^ctornado run ", "^$")
    end)

    it("ends with 2 for what it does not know, and says what was meant", function()
        expect({ "serv" }, 2, "^$", '^ctornado: unknown command "serv" %(did you mean "serve"%?%)')
        expect({ "xyzzy" }, 2, "^$", '^ctornado: unknown command "xyzzy"; see ctornado help\n$')
        expect({ "--prot=1" }, 2, "^$", 'unknown option "prot" %(did you mean "port"')
        expect({ "-p" }, 2, "^$", 'unknown option "%-p"; options are %-%-name=value, see ctornado')
        expect({ "status", "--jsn" }, 2, "^$", 'unknown option "jsn" %(did you mean "json"%?%)')
        expect({ "status", "this" }, 2, "^$", "status takes no arguments but json, got this")
        expect({ "serve", "this" }, 2, "^$", "serve takes no arguments, got this; a site is")
        expect({ "check", "this" }, 2, "^$", "check takes no arguments, got this; a site is")
        expect({ "sites/blog" }, 2, "^$", "did you mean %-%-site=sites/blog%?")
        expect({ "serve", "--port=0", "--user=nobody" }, 1, "^$", "user, group: a master gives")
        expect({ "status", "--control=/nonexistent/socket" }, 1, "^$",
            "no server answers on /nonexistent/socket %(%[Errno 2%] No such file")
        expect({ "run" }, 2, "^$", "run needs a file")
    end)

    it("has help for each command", function()
        local _, all = run { "help" }
        for name in ([[serve new check routes run repl test version help status profile reload quit
            stop reopen]]):gmatch "%l+" do
            assert.matches("\n  ctornado [^\n]*%f[%w]" .. name .. "%f[^%w]", all)
            expect({ "help", name }, 0, "^ctornado [^\n]*" .. name .. "[^\n]*\n\n", "^$")
        end
        local _, text = run { "help", "profile" }
        assert.matches("\nOptions of its own:\n  %-%-worker=INTEGER ", text)
        expect({ "profile", "--help" }, 0, "^ctornado profile ", "^$")
        expect({ "test", "--help" }, 0, "^ctornado test .*busted %-%-help", "^$")
        expect({ "help", "nwe" }, 2, "^$", 'unknown command "nwe" %(did you mean "new"%?%)')
    end)

    it("checks sites", function()
        expect({ "check", "--site=sites/helloworld" }, 0, "^sites/helloworld: good\n$", "^$")
        expect({ "check", "--sites=sites/helloworld,sites/none" }, 1, "sites/helloworld: good",
            "sites/none: no such site")
        expect({ "check", "--config=" .. write 'sites = { "sites/helloworld" }' }, 0, "good", "^$")
        expect({ "check", "--config=" .. write "port = {}" }, 1, "^$", ":1: option port")
        for _, name in ipairs { "check", "serve" } do
            local conf = write '\nsites = { "sites/none" }'
            expect({ name, "--config=" .. conf, "--port=0" }, 1, "^$",
                conf .. ":2: sites/none: no such site")
            expect({ name, "--config=" .. conf, "--site=sites/not", "--port=0" }, 1, "^$",
                "^ctornado: sites/not: no such site")
        end
        expect({ "check", "--config=/no/such/file" }, 1, "^$", "/no/such/file: cannot be read")
    end)

    it("has notes of folders for static files that are not there", function()
        local site, put = new_folder(finally, "x")
        put("app.lua", 'local web = require "tornado.web"\nreturn web.Application({ ' ..
            '{ "/files/(.*)", web.StaticFileHandler, { path = "/no/files" } },' ..
            '{ "/here/(.*)", web.StaticFileHandler, { path = "/tmp" } } }, ' ..
            '{ static_path = "/no/static" })')
        expect({ "check", "--site=" .. site }, 0, ": good\n$", "^" .. site:gsub("%p", "%%%0") ..
            ": note: /%(robots[^\n]*: no such folder for static files: /no/static\n[^\n]*note: " ..
            "/files/%(%.%*%): no such folder for static files: /no/files\n$")
    end)

    it("checks the templates of sites", function()
        local site, put = new_folder(finally, "pages/sub")
        put("app.lua", 'return require("tornado.web").Application({}, ' ..
            '{ template_path = "pages" })')
        put("pages/base.html", "<p>{% block x %}{% end %}</p>")
        put("pages/sub/page.html", "{% extends ../base.html %}{% block x %}{{ 1 }}{% end %}")
        put("pages/image.png", "\0{%")
        put("pages/.hidden.html", "{%")
        put("pages/page.html~", "{%")
        os.execute("cd " .. site .. "/pages && ln -s . loop && ln -s .. sub/up && " ..
            "ln -s none sub/gone && mkfifo pipe")
        expect({ "check", "--site=" .. site }, 0, ": good, 2 templates\n$", "^$")
        put("more.lua", "\n-- self:render('not.html')\nself:render('base.html')\n" ..
            "local text = self:render_string(\"sub/none.html\", {}) picture:render 'x'")
        expect({ "check", "--site=" .. site }, 1, "^$",
            "^ctornado: .*/more%.lua:4: no such template: .*/pages/sub/none%.html\n$")
        put("more.lua", "")
        put("pages/a.html", "1\n2\n{{ a b }}")
        put("pages/b.html", "{% include a.html %}")
        put("pages/c.html", "\n{% nonsense %}")
        local code, out, err = run { "check", "--site=" .. site }
        assert.equal("1 ", code .. " " .. out)
        assert.equal(([[
ctornado: SITE/pages/a.html:3: '<eof>' expected near 'b'
ctornado: SITE/pages/c.html:2: unknown operator: 'nonsense'
]]):gsub("SITE", site), err)
    end)

    it("runs scripts, inside the loop and with their arguments", function()
        expect({ "run", write [[
            local gen = require "tornado.gen"
            gen.sleep(0.001)
            print(#arg, arg[0] ~= nil, ...)
            io.stderr:write(arg[1])
        ]], "--port=1", "b" }, 0, "^2\ttrue\t%-%-port=1\tb\n$", "^%-%-port=1$")
        expect({ "run", write "io.write('a') os.exit(3) io.write('b')" }, 3, "^a$", "^$")
        expect({ "run", write "os.exit()" }, 0, "^$", "^$")
        expect({ "run", write "error('broken')" }, 1, "^$",
            ":1: broken\nstack traceback:[^\n]*\n[^\n]*'error'\n[^\n]*in main chunk\n$")
        expect({ "run", write "require('tornado.gen').spawn(error, 'lost')" }, 0, "^$",
            "Exception in spawned task: lost\n")
        expect({ "run", write "error({})" }, 1, "^$", "^ctornado: ")
        expect({ "run", write "this is no Lua" }, 1, "^$", ":1: ")
        expect({ "run", "/no/such/file" }, 1, "^$", "/no/such/file")
    end)

    it("serves until it is asked to end", function()
        for signal, said in pairs { TERM = "stopping: 0 requests under way\n$", INT = "%d\n$" } do
            local command, address = serve "--site=sites/helloworld"
            local connection = testing.connect(address)
            connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert.equal("Hello, world", connection:read_response().body)
            connection:close()
            local code, text = stop(command, signal)
            assert.equal(0, code)
            assert.matches(said, text)
        end
    end)

    it("lets requests end that are under way", function()
        local command, address = serve "--site=sites/bench"
        local connection = testing.connect(address)
        finally(function() connection:close() end)
        connection:send("GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n" ..
            "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal("Hello, World!", connection:read_response().body)
        os.execute("kill -TERM " .. command.pid)
        assert.equal("slow", connection:read_response().body)
        local code, text = stop(command, "CONT")
        assert.equal(0, code)
        assert.matches("stopping: 1 requests? under way", text)
    end)

    it("ends with 1 when it cannot serve, and says why", function()
        expect({ "serve", "--config=" .. write "" }, 1, "^$", "no site to serve")
        expect({ "serve", "--site=sites/none" }, 1, "^$", "sites/none: no such site")
        expect({ "serve", "--site=sites/helloworld", "--address=nonsense" }, 1, "^$", "nonsense")
        expect({ "serve", "--site=sites/helloworld", "--log-file=/no/such/folder/x" }, 1, "^$",
            "log_file: ")
        expect({ "serve", "--site=sites/helloworld", "--access-log=/no/such/folder/x" }, 1, "^$",
            "access_log: ")
        expect({ "serve", "--site=sites/helloworld", "--body-temp-dir=/no/such/folder" }, 1, "^$",
            "body_temp_dir: no such folder")
        local command, address = serve "--site=sites/helloworld"
        expect({ "serve", "--site=sites/helloworld", "--port=" .. address:match("%d+$") }, 1, "^$",
            "in use")
        stop(command)
    end)

    it("keeps the limits it is given", function()
        local command, address = serve("--site=sites/bench", "--max-body-size=10",
            "--max-line-size=100", "--max-fields=3")
        local function status(bytes)
            local connection = testing.connect(address)
            connection:send(bytes)
            local code = connection:read_response().code
            connection:close()
            return code
        end
        assert.equal(200, status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n" ..
            "1234567890"))
        assert.equal(413, status "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
        assert.equal(414, status("GET /" .. ("x"):rep(100) .. " HTTP/1.1\r\nHost: a\r\n\r\n"))
        assert.equal(431, status "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n")
        stop(command)
    end)

    it("shows tracebacks and the access log in debug", function()
        local site, put = new_folder(finally)
        put("app.lua", [[
            local web = require "tornado.web"
            local Main = web.RequestHandler:extend "Main"
            function Main:get() leaked = 1 end
            return web.Application { { "/", Main } }
        ]])
        local command, address = serve("--site=" .. site, "--debug")
        local connection = testing.connect(address)
        connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        local response = connection:read_response()
        connection:close()
        assert.equal(500, response.code)
        assert.matches('app.lua:3: assignment to undeclared global "leaked"', response.body)
        local _, text = stop(command)
        assert.matches("500 GET / %(", text)
    end)

    -- A site with this app.lua, and a function that writes another one.
    local function make_site(text)
        local site, put = new_folder(finally)
        put("app.lua", text)
        return site, function(new) put("app.lua", new) end
    end

    local ENDLESS = "while true do end"

    it("stops scripts that do not come to an end when they are loaded", function()
        local loops = 'function(self) if self.request.query == "x" then ' .. ENDLESS ..
            ' end self:write("good") end'
        local site, rewrite = make_site('local web = require "tornado.web"\n' ..
            'local Main = web.RequestHandler:extend "Main"\n' ..
            "Main.get = " .. loops .. '\nreturn web.Application { { "/", Main } }')
        local control = "--control=" .. site .. "/control"
        local command, address = serve("--site=" .. site, "--cpu_limit=0.3", control)
        rewrite(ENDLESS)
        expect({ "reload", control }, 1, "^$", "app.lua:1")
        local function get(target)
            local connection = testing.connect(address)
            connection:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n")
            local response = connection:read_response()
            connection:close()
            return response
        end
        assert.equal("good", get("/").body)
        assert.equal(503, get("/?x").code) -- the one that serves is watched again
        stop(command)
        expect({ "check", "--site=" .. site, "--cpu_limit=0.3" }, 1, "^$", "app.lua:1")
        expect({ "--port=0", "--site=" .. site, "--cpu_limit=0.3" }, 1, "^$", "app.lua:1")
        local conf = write("\n" .. ENDLESS)
        expect({ "check", "--config=" .. conf }, 1, "^$", ":2: the file does not come to an end")
    end)

    it("names the line of an application whose routes are wrong", function()
        for route, why in pairs {
            ["{ '/(', Handler }"] = 'bad url pattern "/%(": missing closing parenthesis',
            ["{ '/', nil }"] = 'bad rule 1, "/": its handler is nil; is that name [^\n]*\n$',
            ["web.group('/a', {}, { { '/b', None } })"] = 'bad rule 1, "/b": its handler is nil',
            ["{ '/b', Handler, 5 }"] = 'bad rule "/b": expected a table of kwargs, got number',
            ["{ '/s/(.*)', web.StaticFileHandler, { paht = '.' } }"] =
                'bad rule "/s/%(%.%*%)": StaticFileHandler needs its folder, as { path = FOLDER }',
            ["5"] = "bad rule 1: expected {pattern, target",
        } do
            local site = make_site("local web = require 'tornado.web'\n" ..
                "local Handler = web.RequestHandler:extend()\n\n" ..
                "return web.Application {\n" .. route .. ",\n}")
            expect({ "check", "--site=" .. site }, 1, "^$", "^ctornado: " ..
                site:gsub("%p", "%%%0") .. "/app.lua:4: " .. why)
        end
    end)

    it("checks addresses and certificates", function()
        local site = make_site('return require("tornado.web").Application {}')
        local conf = write('listen = { { "127.0.0.1:1", certfile = "/no/such", keyfile = "x" }, ' ..
            '{ "127.0.0.1:2", certfile = "x", ssl_version = "SSLv3" } }')
        expect({ "check", "--site=" .. site, "--config=" .. conf }, 1, "good",
            conf .. ":1: /no/such: No such file.*" .. conf .. ":1: 127.0.0.1:2: bad ssl_version")
        for text, why in pairs {
            ["\nlisten = { { '[::1]:1', redirect = 70000 } }"] = ":2: redirect: expected the port",
            ["\ncertfile = '" .. site .. "/app.lua'"] = ":2: [^\n]*: no certificate %(PEM%)",
            ["listen = { '[::1]:1', { '[::1]:1', redirect = 2 } }"] = "%[::1%]:1 stands there",
            ["certfile = 'x' listen = { '127.0.0.1:1' }"] = ":1: certfile: with listen it stands",
            ["\nlisten = { '127.0.0.1' }"] = ":2: 127.0.0.1: expected PORT, IPv4:PORT",
            ["\naddress = 'myhost'"] = ":2: myhost:8888: expected PORT",
            ["\nadmin = 'myhost'"] = ":2: admin: myhost: expected PORT",
            ["\nuser = 'nobody'"] = ":2: user, group: a master gives them",
            ["\nkeyfile = 'x'"] = ":2: keyfile: set certfile",
            ["\nlog_file = '/no/such/folder/x'"] = ":2: log_file: no such folder: /no/such/folder",
            ["\naccess_log = '/tmp'"] = ":2: access_log: /tmp is a folder, expected a file",
            ["\npid_file = '/no/x'"] = ":2: pid_file: no such folder: /no",
            ["\nbody_temp_dir = '/no/x'"] = ":2: body_temp_dir: no such folder: /no/x",
        } do
            expect({ "check", "--site=" .. site, "--config=" .. write(text) }, 1, "good", why)
        end
        for _, name in ipairs { "check", "serve" } do
            expect({ name, "--port=0", "--site=" .. site, "--keyfile=x" }, 1, "",
                "keyfile: set certfile")
        end
        expect({ "check", "--trusted_downstream=10.0.0.0/33" }, 2, "^$", "got 10.0.0.0/33")
        for _, name in ipairs { "log_file", "access_log" } do
            expect({ "check", "--site=" .. site, "--" .. name .. "=journal" }, 0, "good", "^$")
            expect({ "check", "--site=" .. site, "--" .. name .. "=here.log" }, 0, "good", "^$")
        end
    end)

    it("fails when its output is lost", function()
        local _, out = run { "run", write [[
            local pid = io.open("/proc/self/stat"):read "*n"
            local code, _, err = require("tornado.process").run {
                "sh", "-c", '"$0" version > /dev/full', "/proc/" .. pid .. "/exe" }
            print(code, err)
        ]] }
        assert.matches("^1\tctornado: the output cannot be written: No space left", out)
    end)

    it("dies of signals that the loop does not hear of", function()
        local script = write('print "begun" io.stdout:flush() ' .. ENDLESS)
        for signal, code in pairs { INT = 130, TERM = 143 } do
            local command = testing.start_command { "run", script }
            testing.wait_until(function() return testing.output_of(command) == "begun\n" end)
            assert.equal(code, (testing.stop_command(command, signal)))
        end
    end)
end)
