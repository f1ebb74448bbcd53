-- tornado.testing: that the checks of a case bite. Cases that must fail run in a child of
-- this binary.
local core = require "tornado.core"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local PRELUDE = [[
local testing = require "tornado.testing"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local core = require "tornado.core"
local web = require "tornado.web"
]]

-- Starts a child that runs a spec with one case for each body.
local function start(...)
    local path = os.tmpname() .. "_spec.lua"
    local file = assert(io.open(path, "w"))
    file:write(PRELUDE)
    for i = 1, select("#", ...) do
        file:write(("it('case %d', function()\n%s\nend)\n"):format(i, (select(i, ...))))
    end
    file:close()
    finally(function()
        os.remove(path)
        os.remove((path:gsub("_spec.lua$", "")))
    end)
    return testing.start_command { "test", path }
end

-- Its exit code and what it printed.
local function finish(child)
    testing.wait_until(function() return not testing.is_running(child) end)
    return testing.stop_command(child)
end

local function run(...)
    return finish(start(...))
end

-- Takes pairs of a body that must fail and what must be said of it.
local function expect_failures(cases)
    testing.set_timeout(300)
    local children = {}
    for i, case in ipairs(cases) do children[i] = start(case[1]) end
    for i, case in ipairs(cases) do
        local code, out = finish(children[i])
        assert.equal(1, code)
        assert.matches(case[2], out)
        assert.matches("\n0 successes / [01] failures? / [01] errors?[^\n]*\n$", out)
    end
end

local function expect_failure(pattern, body)
    expect_failures { { body, pattern } }
end

-- A server that sends these bytes to everyone and closes.
local function reply_with(bytes)
    return testing.serve(function(request)
        core.reply_start(request.handle, 200, "", "", -1, 0)
        error(bytes)
    end)
end

describe("tornado.testing", function()
    describe("a case", function()
        it("passes when it leaves nothing behind", function()
            testing.set_timeout(300)
            local code, out = run([[
                local server = testing.serve(web.Application {})
                server:fetch("/")
                server:connect()
                gen.sleep(0.001)
                gen.spawn(gen.sleep, 0.001)
                log.gen_log:info("a line")
                log.gen_log:debug("a line")
                finally(function() gen.moment() end)
            ]], "")
            assert.equal(0, code)
            assert.matches("\n2 successes / 0 failures / 0 errors / 0 pending[^\n]*\n$", out)
        end)

        it("fails for what it leaks, and says what", function()
            expect_failures {
                { "ioloop.call_later(60, print)", "leaked 1 timer" },
                { 'gen.spawn(function() gen.await(require("tornado.concurrent").Future()) end)',
                    "leaked 1 waiting coroutine\na coroutine that waits; stack trace.*await" },
                { 'core.listen("127.0.0.1:0")', "leaked 1 listener, %d descriptors?" },
                { 'keep = io.open("/dev/null")', "leaked 1 descriptor" },
                { 'core.new_digest("sha1")', "leaked 1 digest" },
                { 'rawset(_G, "oops", 1)', "leaked global oops" },
                { "testing.connect(testing.serve(web.Application {}).address)", "1 channel" },
            }
        end)

        it("fails for a request that is never answered", function()
            expect_failure("live request.*\na coroutine that waits; .*in function 'await'", [[
                local H = web.RequestHandler:extend "H"
                function H:get() gen.await(require("tornado.concurrent").Future()) end
                local c = testing.serve(web.Application { { "/", H } }):connect()
                c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                testing.wait_until(function() return core.counts().requests > 0 end)
            ]])
        end)

        it("fails for a warning that it did not expect, and for one that never came", function()
            expect_failure("logged, but not expected.*%[warning%] general: careful",
                [[log.gen_log:warning("careful")]])
            expect_failure('expected to log "nothing", but it never came',
                [[testing.expect_log("nothing")]])
            expect_failure('expected to log error "careful", but it never came',
                [[testing.expect_log("error", "careful") log.gen_log:warning("careful")]])
        end)

        it("fails for an ExpectLog that got nothing, and for timers of its clock", function()
            expect_failures {
                { 'testing.ExpectLog("app", "x")', 'did not get expected log message: app, "x"' },
                { "testing.clock() ioloop.call_later(60, print)",
                    "leaked 1 timer of testing.clock%(%)" },
                { "testing.clock() testing.set_timeout(0.05) gen.sleep(60)",
                    "not ended within 0%.05 s" },
            }
        end)

        it("fails with the place where it hangs", function()
            expect_failure("not ended within 0%.05 s; it waits here, stack traceback:.*" ..
                "in function 'sleep'.*_spec.lua:%d+: in function 'body'",
                [[testing.set_timeout(0.05) gen.sleep(60)]])
            expect_failure("not ended within 0%.05 s",
                [[testing.set_timeout(0.05) while true do pcall(gen.sleep, 60) break end
                gen.sleep(60)]])
        end)

        it("fails when finally() fails, which runs before the checks", function()
            expect_failure("in the end", [[finally(function() error("in the end") end)]])
            local code = run [[
                local timer = ioloop.call_later(60, print)
                finally(function() ioloop.remove_timeout(timer) end)
            ]]
            assert.equal(0, code)
        end)

        it("shows error objects as text, and any error at all", function()
            expect_failure("HTTP 404: Not Found %(no 5%)",
                [[error(web.HTTPError(404, "no %d", 5), 0)]])
            expect_failure("x = 1", [[error { x = 1 }]])
            expect_failure("Nil error", [[error()]])
        end)

        it("does not spoil the next one", function()
            testing.set_timeout(300)
            local code, out = run("gen.spawn(gen.sleep, 60)", "", "error('bad')", "assert(true)",
                "testing.set_timeout(0.05) gen.sleep(9)", "gen.sleep(0.001)")
            assert.equal(1, code)
            assert.matches("\n%-%+%*%+%*%+\n", "\n" .. out)
        end)
    end)

    describe("the runner", function()
        it("ends with 2 for wrong arguments, 1 for a broken file, 0 for help", function()
            assert.equal(2, (testing.run_command { "test", "--no-such-option" }))
            assert.equal(0, (testing.run_command { "test", "--help" }))
            local code, out = run("end) this is no Lua (")
            assert.equal(1, code)
            assert.matches("0 successes / 0 failures / 1 error", out)
            code, out = run()
            assert.equal(1, code)
            assert.matches("no case was run", out)
        end)

        it("can print in another form", function()
            local code, out = testing.run_command { "test", "-o", "TAP",
                "spec/tornado/concurrent_spec.lua" }
            assert.equal(0, code)
            assert.matches("^ok 1 .*\n1%.%.%d+\n$", out)
        end)
    end)

    describe("fetch", function()
        local Echo = web.RequestHandler:extend "Echo"
        function Echo:post()
            self:set_header("X-Method", self.request.method)
            self:set_header("X-Version", self.request.version)
            self:set_header("X-Got", self.request.headers:get("X-Sent", ""))
            self:write { body = self.request.body }
        end
        Echo.get, Echo.put = Echo.post, Echo.post

        it("sends what it is told", function()
            local server = testing.serve(web.Application { { "/", Echo } })
            local response = server:fetch("/", { body = "b", headers = { ["X-Sent"] = "1" } })
            assert.equal("POST", response.headers:get("X-Method"))
            assert.equal("1", response.headers:get("X-Got"))
            assert.equal("b", response:json().body)
            response = server:fetch("/", { method = "PUT", body = "c",
                headers = { { "X-Sent", "1" }, { "X-Sent", "2" } } })
            assert.equal("PUT", response.headers:get("X-Method"))
            assert.equal("1,2", response.headers:get("X-Got"))
            response = server:fetch("/", { http10 = true })
            assert.equal("HTTP/1.0", response.headers:get("X-Version"))
            response = server:fetch(nil, { raw = "GET / HTTP/1.1\r\nHost: x\r\n\r\n" })
            assert.equal("GET", response.headers:get("X-Method"))
            assert.has_error(function() server:fetch("/", { metod = "GET" }) end)
        end)

        it("goes to unix sockets, too", function()
            local path = os.tmpname()
            os.remove(path)
            local server = testing.serve(web.Application { { "/", Echo } }, { unix = path })
            assert.equal("unix:" .. path, server.address)
            assert.equal("b", server:fetch("/", { body = "b" }):json().body)
            server:stop()
            assert.is_nil(io.open(path))
        end)

        it("raises when no reply comes in time", function()
            local Slow = web.RequestHandler:extend "Slow"
            function Slow:get() gen.sleep(0.05) end
            local server = testing.serve(web.Application { { "/", Slow } })
            local ok, err = pcall(server.fetch, server, "/", { timeout = 0.01 })
            assert.is_false(ok)
            assert.is_true(util.isinstance(err, util.TimeoutError))
            assert.matches("nothing came in time on 127.0.0.1", tostring(err))
        end)
    end)

    describe("a connection", function()
        -- What read_response() makes of bytes: C sends them as the body of a bare reply.
        local function reads(bytes, method)
            local listener = assert(core.listen("127.0.0.1:0"))
            core.listen_close(listener)
            local source = { bytes = bytes, at = 1 }
            function source:take_until(mark)
                local _, stop = self.bytes:find(mark, self.at, true)
                if not stop then error(testing.BrokenReply("cut off"), 0) end
                local text = self.bytes:sub(self.at, stop)
                self.at = stop + 1
                return text
            end
            function source:take(size)
                if self.at + size - 1 > #self.bytes then
                    error(testing.BrokenReply("cut off"), 0)
                end
                self.at = self.at + size
                return self.bytes:sub(self.at - size, self.at - 1)
            end
            function source:take_rest()
                return self.bytes:sub(self.at)
            end
            return require("tornado.testing.reply").read(source, method or "GET")
        end

        it("reads replies in every framing", function()
            assert.equal("abc", reads("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").body)
            assert.equal("abc", reads("HTTP/1.0 200 OK\r\n\r\nabc").body)
            assert.equal("abc", reads("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" ..
                "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n").body)
            assert.equal("", reads("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD").body)
            assert.equal("", reads("HTTP/1.1 304 Not Modified\r\n\r\n").body)
            local response = reads("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
            assert.equal(204, response.code)
            assert.equal(100, response.interim[1].code)
        end)

        it("refuses replies that are malformed", function()
            for _, bytes in ipairs {
                "HTTP/1.1 200\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA\r\n\r\n",
                "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: \1\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" ..
                    "0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
                "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            } do
                local ok, err = pcall(reads, bytes)
                assert.is_false(ok, bytes)
                assert.is_true(util.isinstance(err, testing.BrokenReply), bytes)
            end
        end)

        it("tells a reset from an end", function()
            testing.expect_log("cut")
            local connection = reply_with("cut"):connect()
            connection:send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert.equal("reset", select(2, connection:read_until_close()))
            assert.equal("reset", connection:is_closed())
            assert.is_nil((connection:read_some()))
            connection = testing.serve(web.Application {}):connect()
            assert.is_false(connection:is_closed())
            connection:shut()
            assert.equal("eof", select(2, connection:read_until_close()))
            assert.equal("eof", connection:is_closed())
        end)

        it("is an error when nobody listens, or when it is closed", function()
            local listener = assert(core.listen("127.0.0.1:0"))
            local address = core.listen_address(listener)
            core.listen_close(listener)
            local connection = testing.connect(address)
            assert.equal("reset", select(2, connection:read_until_close()))
            connection:close()
            connection:close()
            assert.has_error(function() connection:send("x") end)
            assert.has_error(function() testing.connect("nonsense") end)
        end)
    end)

    describe("expect_log", function()
        it("gives the lines that came", function()
            local log = require "tornado.log"
            local logged = testing.expect_log("number %d")
            local quiet = testing.expect_log("info", "^quiet$")
            log.gen_log:warning("number %d", 1)
            log.app_log:error("number %d", 2)
            log.app_log:info("quiet")
            assert.same({ "number 1", "number 2" }, logged.lines)
            assert.equal("number 2", logged.text)
            assert.equal(1, #quiet.lines)
        end)

        it("refuses what is no pattern and no level", function()
            assert.has_error(function() testing.expect_log(5) end)
            assert.has_error(function() testing.expect_log("loud", "x") end)
        end)
    end)

    it("runs commands, and ends those that go on", function()
        local code, out, err = testing.run_command { "version" }
        assert.equal(0, code)
        assert.matches("^ctornado " .. util.version:gsub("%.", "%%."), out)
        assert.equal("", err)
        local command = testing.start_command { "serve", "--site=sites/helloworld", "--port=0" }
        testing.wait_until(function() return testing.output_of(command):find("http://") end)
        assert.is_true(testing.is_running(command))
        code = testing.stop_command(command)
        assert.equal(0, code)
    end)

    it("is not loaded by what serves", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write([[
            require "tornado.web"
            require "tornado.sites"
            for name in pairs(package.loaded) do
                if name:find("testing") or name:find("busted") then print(name) end
            end
        ]])
        file:close()
        finally(function() os.remove(path) end)
        local code, out = testing.run_command { "run", path }
        assert.equal(0, code)
        assert.equal("", out)
    end)
end)

describe("testing.request", function()
    local Echo = web.RequestHandler:extend "Echo"

    function Echo:get()
        self:set_cookie("a", "1;2")
        self:set_cookie("b", "x", { httponly = true })
        self:write { ip = self.request.remote_ip, host = self.request.host, uri = self.request.uri }
    end

    function Echo:post()
        gen.sleep(0.001)
        self:set_status(201)
        self:write(self.request.body)
        self:flush()
        self:write(self:get_body_argument("x", "none"))
    end

    function Echo:on_finish()
        self.settings.finished = (self.settings.finished or 0) + 1
    end

    local app = web.Application { { "/.*", Echo } }

    it("runs a request through the whole of HTTP, without a listener", function()
        local before = core.counts()
        local response = testing.request(app, "/a?b=c")
        assert.equal(200, response.code)
        assert.equal("OK", response.reason)
        assert.same({ ip = "127.0.0.1", host = "localhost", uri = "/a?b=c" }, response:json())
        assert.same({ a = "1;2", b = "x" }, response.cookies)
        assert.equal(2, #response.headers:get_list("Set-Cookie"))
        assert.equal("application/json; charset=UTF-8", response.headers:get("Content-Type"))
        response = testing.request(app, "/", { body = "x=5", headers = {
            ["Content-Type"] = "application/x-www-form-urlencoded" } })
        assert.equal(201, response.code)
        assert.equal("x=55", response.body)
        assert.equal(2, response.chunks)
        assert.equal(2, app.settings.finished)
        testing.wait_until(function() return core.counts().connections == 0 end)
        assert.equal(before.listeners, core.counts().listeners)
        assert.equal(before.descriptors, core.counts().descriptors)
    end)

    it("has the errors and limits of HTTP", function()
        assert.equal(405, testing.request(app, "/", { method = "PUT", body = "" }).code)
        assert.equal(400, testing.request(app, "/ b").code)
        assert.equal(400, testing.request(app, "/", { raw = "GET / HTTP/1.1\r\n\r\n" }).code)
        assert.equal(431, testing.request(app, "/", { server = { max_fields = 1 },
            headers = { A = "1", B = "2" } }).code)
        testing.expect_log("413 POST")
        assert.equal(413, testing.request(app, "/", { body = ("x"):rep(1048577) }).code)
        local body = ("x"):rep(1000000)
        assert.equal(body .. "none", testing.request(app, "/", { body = body }).body)
    end)

    it("takes functions, other addresses, and HEAD", function()
        local function answer(request)
            core.reply(request.handle, 200, "", "", request.remote_ip, -1, 0)
            require("tornado.httpserver").release(request)
        end
        assert.equal("fd00::1", testing.request(answer, "/", { remote_ip = "fd00::1" }).body)
        assert.equal("", testing.request(answer, "/", { method = "HEAD" }).body)
        assert.has_error(function() testing.request(answer, "/", { remote_ip = "nobody" }) end)
        assert.has_error(function() testing.request(answer, "/", { nonsense = 1 }) end)
    end)

    it("raises when no reply comes, and leaves nothing open", function()
        local logged = testing.expect_log("never")
        local ok, err = pcall(testing.request, function(request)
            gen.sleep(0.05)
            core.reply_abort(request.handle)
            require("tornado.httpserver").release(request)
            require("tornado.log").app_log:warning("never")
        end, "/", { timeout = 0.01 })
        assert.is_false(ok)
        assert.matches("^TimeoutError: nothing came in time", tostring(err))
        testing.wait_until(function() return #logged.lines == 1 end)
    end)

    it("keeps connections with testing.serve, too", function()
        local server = testing.serve(app, { socket = false })
        assert.is_nil(server.port)
        local connection = server:connect()
        for i = 1, 3 do
            connection:send("GET /" .. i .. " HTTP/1.1\r\nHost: a\r\n\r\n")
            assert.equal("/" .. i, connection:read_response():json().uri)
        end
        connection:close()
        server.http:stop()
        server.http:close_all_connections(1)
        assert.equal("/again", server:fetch("/again"):json().uri)
    end)
end)
