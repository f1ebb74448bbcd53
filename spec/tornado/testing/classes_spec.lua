-- tornado.testing's classes of Tornado: AsyncTestCase and those with a server. PARITY §25.
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local Echo = web.RequestHandler:extend "Echo"
function Echo:get() self:write(self.request.protocol .. " " .. self:get_argument("a", "none")) end
function Echo:post() self:write(self.request.body) end

local EchoTest = testing.AsyncHTTPTestCase:extend "EchoTest"
function EchoTest:get_app() return web.Application { { "/", Echo } } end -- luacheck: ignore 212

function EchoTest:test_get()
    assert.equal("http 1", self:fetch("/?a=1").body)
    assert.equal("http none", self:fetch(self:get_url("/")).body)
    assert.equal(404, self:fetch("/none").code)
    assert.equal(("http://127.0.0.1:%d/x"):format(self:get_http_port()), self:get_url("/x"))
end

EchoTest.test_post = testing.gen_test { timeout = 3 }(function(self)
    assert.equal("body", self:fetch("/", { method = "POST", body = "body" }).body)
end)

EchoTest:define()

local SecureTest = testing.AsyncHTTPSTestCase:extend "SecureTest"
SecureTest.get_app = EchoTest.get_app
function SecureTest:test_get() assert.equal("https none", self:fetch("/").body) end

SecureTest:define()

local ran = {}
local WaitTest = testing.AsyncTestCase:extend "WaitTest"
function WaitTest:setUp() -- luacheck: ignore 212/self
    ran[#ran + 1] = "setUp"
end

function WaitTest:tearDown() -- luacheck: ignore 212/self
    ran[#ran + 1] = "tearDown"
end

function WaitTest:test_1_stop()
    self.io_loop:add_callback(function() self:stop("value") end)
    assert.equal("value", self:wait())
    self:stop(2)
    assert.equal(2, self:wait())
end

function WaitTest:test_2_condition()
    local count = 0
    local function again()
        count = count + 1
        self:stop(count)
        if count < 3 then ioloop.call_later(0, again) end
    end
    again()
    assert.equal(3, self:wait(function() return count == 3 end))
end

function WaitTest:test_3_times_out()
    local ok, err = pcall(self.wait, self, nil, 0.01)
    assert.is_false(ok)
    assert.is_true(util.isinstance(err, util.TimeoutError))
    assert.matches("Async operation timed out after 0.01 seconds", tostring(err))
end

WaitTest:define()

describe("tornado.testing's classes", function()
    it("have set up and torn down around each case", function()
        assert.same({ "setUp", "tearDown", "setUp", "tearDown", "setUp", "tearDown" }, ran)
        assert.same({ "test_1_stop", "test_2_condition", "test_3_times_out" },
            WaitTest:test_names())
    end)

    it("refuse a value that a test returns", function()
        local Odd = testing.AsyncTestCase:extend "Odd"
        function Odd:test_value() return 42 end -- luacheck: ignore 212/self
        local waited
        function Odd:test_future() -- luacheck: ignore 212/self
            return gen.spawn(function()
                gen.sleep(0.001)
                waited = true
            end)
        end
        local ok, err = pcall(Odd.run_case, Odd, "test_value")
        assert.is_false(ok)
        assert.matches("Return value from test method ignored: 42", tostring(err), 1, true)
        Odd:run_case "test_future"
        assert.is_true(waited)
    end)

    it("want an application", function()
        local Case = testing.AsyncHTTPTestCase
        local ok, err = pcall(Case.run_case, Case, "fetch")
        assert.is_false(ok)
        assert.matches("must implement get_app", tostring(err))
    end)

    it("bind free ports", function()
        local socket, port = testing.bind_unused_port()
        assert.equal("127.0.0.1:" .. port, core.listen_address(socket))
        local server = httpserver.HTTPServer(web.Application { { "/", Echo } })
        server:add_socket(socket)
        local connection = testing.connect("127.0.0.1:" .. port)
        connection:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        assert.equal(200, connection:read_response().code)
        connection:close()
        server:stop(true)
        assert.is_true(testing.get_async_test_timeout() > 0)
    end)
end)
