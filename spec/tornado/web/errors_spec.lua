-- tornado.web.errors, and what becomes of anything a handler raises. PARITY §1.2, §1.4, §1.9;
-- checks 37 to 42 and 76 of §29.
local core = require "tornado.core"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local function serve(verbs, settings)
    local Handler = web.RequestHandler:extend "Handler"
    for name, fn in pairs(verbs) do Handler[name] = fn end
    return testing.serve(web.Application({ { "/", Handler } }, settings))
end

local function page(code, reason)
    return ("<html><title>%d: %s</title><body>%d: %s</body></html>"):format(code, reason, code,
        reason)
end

local SERVER_ERROR = page(500, "Internal Server Error")

describe("tornado.web.errors", function()
    describe("HTTPError", function()
        it("has a status, a message for the log, and a reason", function()
            local err = web.HTTPError()
            assert.equal(500, err.status_code)
            assert.is_nil(err.log_message)
            assert.equal("HTTP 500: Internal Server Error", tostring(err))
            err = web.HTTPError(404, "no %s for %d", "x", 5)
            assert.equal("no x for 5", err.log_message)
            assert.equal("HTTP 404: Not Found (no x for 5)", tostring(err))
            err = web.HTTPError(404, "100%", { reason = "Go" })
            assert.equal("Go", err.reason)
            assert.equal("100%", err.log_message)
            assert.equal("HTTP 404: Go (100%)", tostring(err))
            err = web.HTTPError(682, { reason = "Odd" })
            assert.equal("HTTP 682: Odd", tostring(err))
            assert.equal("HTTP 683: Unknown", tostring(web.HTTPError(683)))
            assert.equal("n is 5", web.HTTPError(400, "n is %d", 5, { reason = "R" }).log_message)
        end)

        it("refuses a status that is no number", function()
            local ok, err = pcall(function() error(web.HTTPError("404"), 0) end)
            assert.is_false(ok)
            assert.matches("errors_spec.lua:%d+: bad status: expected number, got string", err)
        end)

        it("refuses a status that HTTP does not have, so that the client gets a 500", function()
            for _, status in ipairs { 42, 1000, 404.5, -404, 0 / 0 } do
                testing.expect_log("errors_spec.lua:%d+: bad status: expected an integer from 100")
                assert.equal(500, serve({
                    get = function() error(web.HTTPError(status), 0) end,
                }):fetch("/").code)
            end
        end)

        it("can be extended", function()
            local Gone = web.HTTPError:extend "Gone"
            function Gone:init() web.HTTPError.init(self, 410) end
            assert.is_true(Gone():is(web.HTTPError))
            assert.equal("HTTP 410: Gone", tostring(Gone()))
            assert.equal(410, serve({ get = function() error(Gone(), 0) end }):fetch("/").code)
        end)

        it("answers with its status, reason and page", function()
            for _, case in ipairs {
                { 404, nil, "Not Found" }, { 404, "Go", "Go" }, { 682, nil, "Unknown" },
                { 418, nil, "I&#x27;m a Teapot", "I'm a Teapot" }, { 400, "<b>", "Unknown" },
                { 400, "a\r\nX: y", "Unknown" }, { 400, "a & b", "a &amp; b", "a & b" },
            } do
                local response = serve({ get = function()
                    error(web.HTTPError(case[1], { reason = case[2] }), 0)
                end }):fetch("/")
                assert.equal(case[1], response.code)
                assert.equal(case[4] or case[3], response.reason)
                assert.equal(page(case[1], case[3]), response.body)
                assert.equal("text/html; charset=UTF-8", response.headers:get("Content-Type"))
                assert.is_false(response.headers:has("X"))
            end
        end)

        it("is logged as a warning when it has a message, else not at all", function()
            local logged = testing.expect_log("warning", "404 GET /%?q=%%41 %(127%.0%.0%.1%): no x")
            local server = serve { get = function()
                error(web.HTTPError(404, "no %s", "x"), 0)
            end, post = function() error(web.HTTPError(404), 0) end }
            assert.equal(404, server:fetch("/?q=%41").code)
            assert.equal(404, server:fetch("/", { method = "POST" }).code)
            assert.equal(1, #logged.lines)
        end)

        it("with a status that has no body answers without one", function()
            for _, status in ipairs { 204, 304 } do
                local response = serve({ get = function() error(web.HTTPError(status), 0) end })
                    :fetch("/")
                assert.equal(status, response.code)
                assert.equal("", response.body)
                assert.is_false(response.headers:has("Content-Length"))
            end
        end)

        it("drops what was written and set before", function()
            local response = serve({ get = function(self)
                self:write("secret")
                self:set_header("X-Mine", "1")
                self:set_status(201)
                error(web.HTTPError(403), 0)
            end }):fetch("/")
            assert.equal(403, response.code)
            assert.is_false(response.headers:has("X-Mine"))
            assert.equal(page(403, "Forbidden"), response.body)
        end)
    end)

    describe("MissingArgumentError", function()
        it("is a 400 that names the argument", function()
            local err = web.MissingArgumentError("page")
            assert.equal(400, err.status_code)
            assert.equal("page", err.arg_name)
            assert.equal("HTTP 400: Bad Request (Missing argument page)", tostring(err))
            assert.is_true(err:is(web.HTTPError))
        end)
    end)

    describe("Finish", function()
        it("ends with what was set and written, silently", function()
            local response = serve({ get = function(self)
                self:set_status(401)
                self:set_header("X-Mine", "1")
                self:write("a")
                error(web.Finish("uth"), 0)
            end }):fetch("/")
            assert.equal(401, response.code)
            assert.equal("1", response.headers:get("X-Mine"))
            assert.equal("auth", response.body)
        end)

        it("may come from prepare, after finish, and from far below", function()
            local server = serve {
                prepare = function(self)
                    if self:get_argument("p", nil) then error(web.Finish("prepared"), 0) end
                end,
                get = function(self)
                    gen.sleep(0.001)
                    self:finish("first")
                    error(web.Finish("second"), 0)
                end,
            }
            assert.equal("prepared", server:fetch("/?p=1").body)
            assert.equal("first", server:fetch("/").body)
        end)
    end)

    describe("anything else", function()
        it("is a 500 whose text the client does not see, and an error in the log", function()
            local cyclic = {}
            cyclic.self = cyclic
            for _, case in ipairs {
                { "a text", "a text" }, { { a = 1 }, "table: 0x" }, { 42, "42" },
                { cyclic, "table: 0x" }, { print, "function" }, { false, "false" },
                { util.Error("an object"), "Error: an object" }, { nil, "nil" },
            } do
                local logged = testing.expect_log("error", "^Uncaught exception GET / ")
                local response = serve({ get = function() error(case[1], 0) end }):fetch("/")
                assert.equal(500, response.code)
                assert.equal(SERVER_ERROR, response.body)
                assert.matches(case[2], logged.text)
                assert.matches("errors_spec.lua:%d+: in function", logged.text)
            end
        end)

        it("is a 500 when Lua itself raises it", function()
            testing.expect_log("attempt to index")
            testing.expect_log("attempt to call")
            for _, get in ipairs {
                function(self) return self.nothing.field end,
                function(self) self:no_method() end,
            } do
                assert.equal(500, serve({ get = get }):fetch("/").code)
            end
        end)

        it("is a 500 when the stack overflows, with no other error's traceback", function()
            local first = testing.expect_log("an earlier error")
            local logged = testing.expect_log("^Uncaught exception GET / ")
            local function deep(n) return 1 + deep(n + 1) end
            local server = serve {
                get = function() return deep(1) end,
                post = function() error("an earlier error") end,
            }
            for _ = 1, 20 do
                assert.equal(500, server:fetch("/", { method = "POST" }).code)
                assert.equal(500, server:fetch("/").code)
                -- LuaJIT may have no stack left for the handler that takes the traceback.
                assert.truthy(logged.text:find("stack overflow", 1, true) or
                    logged.text:find("error in error handling", 1, true), logged.text)
            end
            assert.equal(20, #first.lines)
        end)

        it("may be an object whose tostring raises", function()
            testing.expect_log("error", ".")
            local evil = setmetatable({}, { __tostring = function() error("again") end })
            local server = serve { get = function() error(evil, 0) end, post = function() end }
            local connection = server:connect()
            connection:send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            connection:read_until_close()
            assert.equal(200, server:fetch("/", { method = "POST" }).code)
        end)

        it("is shown with its traceback when serve_traceback is set", function()
            testing.expect_log("the reason")
            local get = function() error("the reason") end
            for _, settings in ipairs { { serve_traceback = true }, { debug = true } } do
                local response = serve({ get = get }, settings):fetch("/")
                assert.equal(500, response.code)
                assert.equal("text/plain; charset=UTF-8", response.headers:get("Content-Type"))
                assert.matches("errors_spec.lua:%d+: the reason\nstack traceback", response.body)
            end
        end)

        it("after flush cuts the connection, so that the client sees it", function()
            testing.expect_log("after the head")
            testing.expect_log("Cannot send error response after headers written")
            local connection = serve({ get = function(self)
                self:write("beginning")
                self:flush()
                error("after the head")
            end }):connect()
            connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            local ok, err = pcall(connection.read_response, connection)
            assert.is_false(ok)
            assert.is_true(util.isinstance(err, testing.BrokenReply))
            assert.is_nil(tostring(err):find("after the head"))
        end)

        it("in a spawned task that nobody waits for is logged", function()
            testing.expect_log("alone")
            local response = serve({ get = function(self)
                gen.spawn(function() error("alone") end)
                self:write("good")
            end }):fetch("/")
            assert.equal("good", response.body)
        end)
    end)

    describe("write_error", function()
        it("may be replaced, and gets the error", function()
            local seen
            local server = serve { get = function() error(web.HTTPError(404, "m"), 0) end,
                write_error = function(self, status, options)
                    seen = { status, options.err.log_message }
                    self:finish { status = status }
                end }
            testing.expect_log("m")
            local response = server:fetch("/")
            assert.equal(404, response.code)
            assert.same({ status = 404 }, response:json())
            assert.same({ 404, "m" }, seen)
        end)

        it("may raise an object: the status comes without a body", function()
            testing.expect_log("Uncaught exception in write_error: Odd")
            local response = serve({ get = function() error(web.HTTPError(404), 0) end,
                write_error = function() error(util.Object:extend "Odd" (), 0) end }):fetch("/")
            assert.equal(404, response.code)
            assert.equal("", response.body)
        end)

        it("may wait", function()
            local response = serve({ get = function() error(web.HTTPError(404), 0) end,
                write_error = function(self)
                    gen.sleep(0.001)
                    self:write("waited")
                end }):fetch("/")
            assert.equal("waited", response.body)
        end)

        it("that raises is logged, and an empty page is sent", function()
            testing.expect_log("Uncaught exception in write_error")
            local response = serve({ get = function() error(web.HTTPError(404), 0) end,
                write_error = function() error("broken page") end }):fetch("/")
            assert.equal(404, response.code)
            assert.equal("", response.body)
        end)
    end)

    describe("log_exception", function()
        it("may be replaced, and may be broken", function()
            local seen
            local server = serve { get = function() error("text") end,
                log_exception = function(_, err, traceback) seen = { err, traceback } end }
            assert.equal(500, server:fetch("/").code)
            assert.matches("errors_spec.lua:%d+: text$", seen[1])
            assert.matches("stack traceback", seen[2])
            testing.expect_log("Error in log_exception: .*broken log")
            server = serve { get = function() error("text") end,
                log_exception = function() error("broken log") end }
            assert.equal(500, server:fetch("/").code)
        end)
    end)

    it("get a 500 when what each reply needs is broken, set_default_headers()", function()
        testing.expect_log("broken headers")
        testing.expect_log("Uncaught exception in the error page: .*broken headers")
        local calls = {}
        local server = serve {
            set_default_headers = function(self)
                self:set_header("X-Half", "1")
                error("broken headers")
            end,
            prepare = function() calls[#calls + 1] = "prepare" end,
            on_finish = function() calls[#calls + 1] = "on_finish" end,
        }
        local response = server:fetch("/")
        assert.equal(500, response.code)
        assert.equal(SERVER_ERROR, response.body)
        assert.is_false(response.headers:has("X-Half"))
        assert.same({ "on_finish" }, calls)
    end)

    it("get a 500 when finish() raises for a Finish", function()
        for what, raise in pairs {
            ["lists are not written"] = function() error(web.Finish { 1, 2 }, 0) end,
            ["takes a string"] = function() error(web.Finish(5), 0) end,
            ["Cannot send body with 204"] = function(self)
                self:set_status(204)
                error(web.Finish "x", 0)
            end,
        } do
            testing.expect_log(what)
            local response = serve({ get = raise }):fetch("/")
            assert.equal(500, response.code)
            assert.equal(SERVER_ERROR, response.body)
        end
    end)

    describe("send_error", function()
        it("can be called", function()
            local response = serve({ get = function(self)
                self:write("x")
                self:send_error(409, { reason = "Busy" })
            end }):fetch("/")
            assert.equal(409, response.code)
            assert.equal("Busy", response.reason)
            assert.equal(page(409, "Busy"), response.body)
            response = serve({ get = function(self) self:send_error() end }):fetch("/")
            assert.equal(500, response.code)
        end)
    end)

    it("leave no request behind, whatever was raised", function()
        testing.expect_log("Uncaught")
        testing.expect_log("Cannot send")
        local before = core.counts().requests
        local server = serve { get = function(self)
            local kind = self:get_argument("kind")
            if kind == "wait" then gen.sleep(0.001) end
            if kind == "late" then self:finish() end
            if kind == "flushed" then self:flush() end
            error(kind)
        end }
        for _ = 1, 5 do
            for _, kind in ipairs { "plain", "wait", "late", "flushed" } do
                local connection = server:connect()
                connection:send("GET /?kind=" .. kind .. " HTTP/1.1\r\nHost: a\r\n" ..
                    "Connection: close\r\n\r\n")
                connection:read_until_close()
            end
        end
        testing.wait_until(function() return core.counts().requests == before end)
    end)
end)
