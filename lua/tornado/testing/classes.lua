-- Tornado's test cases: classes whose methods called test... are cases. In a spec,
--
--     local HelloTest = testing.AsyncHTTPTestCase:extend "HelloTest"
--     function HelloTest:get_app() return web.Application { { "/", Hello } } end
--     function HelloTest:test_hello() assert.equal("hello", self:fetch("/").body) end
--     HelloTest:define()
--
-- Tornado: unittest finds them. A case runs on the loop and may wait, so stop() and wait() are
-- for what calls back only.
local case = require "tornado.testing.case"
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local lifecycle = require "tornado.web.lifecycle"
local util = require "tornado.util"

local classes = {}

--- How long a case and a wait() may take: seconds, 5 or ASYNC_TEST_TIMEOUT.
classes.get_async_test_timeout = case.default_timeout

--- Opens a free port of `address` (127.0.0.1) for HTTPServer:add_socket(). Returns the socket,
-- which the end of the case closes, and the port.
-- Tornado: has reuse_port as its first argument; it is not looked at.
function classes.bind_unused_port(_, address)
    local socket = httpserver.bind_sockets(0, address)[1]
    case.finally(function() core.listen_close(socket, true) end)
    return socket, tonumber(core.listen_address(socket):match(":(%d+)$"))
end

local function run(fn, ...)
    local result = fn(...)
    if concurrent.is_future(result) then return gen.await(result) end
    if result ~= nil then
        error(("Return value from test method ignored: %s"):format(util.shown(result)), 0)
    end
end

local GEN_TEST = { timeout = util.NONE }

--- Makes a test of a function that waits and may return a Future: gen_test(fn), or
-- gen_test { timeout = seconds }(fn).
function classes.gen_test(fn)
    if util.is_callable(fn) then
        return function(...)
            case.set_timeout(case.default_timeout())
            return run(fn, ...)
        end
    end
    local options = util.options(fn, GEN_TEST, "gen_test")
    return function(body)
        return function(...)
            case.set_timeout(options.timeout or case.default_timeout())
            return run(body, ...)
        end
    end
end

-- AsyncTestCase ------------------------------------------------------------------------------

--- Cases as methods whose names begin with "test", with setUp() and tearDown() around each.
local AsyncTestCase = util.Object:extend "AsyncTestCase"
classes.AsyncTestCase = AsyncTestCase

function AsyncTestCase:init()
    self.io_loop = ioloop.IOLoop.current()
    self._stopped = concurrent.Future()
end

--- Come before and after each case; a class that replaces them calls those of its `super`.
function AsyncTestCase:setUp() end

function AsyncTestCase:tearDown() end

--- Ends the wait() that is under way, or the next one, which returns `value`.
function AsyncTestCase:stop(value)
    if not self._stopped:done() then self._stopped:set_result(value) end
end

--- Waits for stop(), until condition() is true if there is one, and for `timeout` seconds at most;
-- raises a TimeoutError. Returns what stop() was given.
function AsyncTestCase:wait(condition, timeout)
    timeout = timeout or case.default_timeout()
    local deadline = core.monotonic() + timeout
    repeat
        local ok, err = pcall(self._stopped._wait, self._stopped, deadline - core.monotonic())
        if not ok and util.isinstance(err, util.TimeoutError) then
            err = util.TimeoutError("Async operation timed out after %g seconds", timeout)
        end
        if not ok then error(err, 0) end
        self._result = self._stopped:result()
        self._stopped = concurrent.Future()
    until not condition or condition()
    return self._result
end

--- The names of the class's cases, sorted.
function AsyncTestCase:test_names()
    local names, seen, class = {}, {}, self.class
    while class do
        for name, value in pairs(class) do
            local is_test = type(name) == "string" and name:find "^test" and
                name ~= "test_names" and util.is_callable(value)
            if is_test and not seen[name] then names[#names + 1] = name end
            seen[name] = true
        end
        class = class.super
    end
    table.sort(names)
    return names
end

--- Runs one case: setUp(), the method, tearDown(), which comes after errors as well.
function AsyncTestCase:run_case(name)
    local test = self.class()
    case.finally(function() test:tearDown() end)
    test:setUp()
    run(test[name], test)
end

--- In a spec: describes the class, with an `it` for each of its cases.
function AsyncTestCase:define()
    local spec = getfenv(2)
    spec.describe(tostring(self.class), function()
        for _, name in ipairs(self:test_names()) do
            spec.it(name, function() self:run_case(name) end)
        end
    end)
end

-- With a server ------------------------------------------------------------------------------

local AsyncHTTPTestCase = AsyncTestCase:extend "AsyncHTTPTestCase"
classes.AsyncHTTPTestCase = AsyncHTTPTestCase

--- Returns the application that is tested. Must be replaced.
function AsyncHTTPTestCase:get_app()
    error(tostring(self.class) .. " must implement get_app()", 2)
end

--- May be replaced: the HTTPServer.
function AsyncHTTPTestCase:get_http_server()
    return httpserver.HTTPServer(self._app, self:get_httpserver_options())
end

--- May be replaced: the options of the HTTPServer.
function AsyncHTTPTestCase:get_httpserver_options() -- luacheck: ignore 212/self
    return {}
end

--- May be replaced: the AsyncHTTPClient.
function AsyncHTTPTestCase:get_http_client() -- luacheck: ignore 212/self
    return require("tornado.httpclient").AsyncHTTPClient { force_instance = true }
end

--- May be replaced: "http".
function AsyncHTTPTestCase:get_protocol() -- luacheck: ignore 212/self
    return "http"
end

function AsyncHTTPTestCase:setUp()
    AsyncTestCase.setUp(self)
    local socket, port = classes.bind_unused_port()
    self._port = port
    self.http_client = self:get_http_client()
    self._app = self:get_app()
    self.http_server = self:get_http_server()
    self.http_server:add_sockets { socket }
    local ok, why = lifecycle.start(self._app)
    if not ok then error(why, 0) end
end

function AsyncHTTPTestCase:tearDown()
    if self.http_server then
        self.http_server:stop(true)
        lifecycle.stop(self._app)
    end
    if self.http_client then self.http_client:close() end
    AsyncTestCase.tearDown(self)
end

--- The port of the server.
function AsyncHTTPTestCase:get_http_port()
    return self._port
end

--- The URL of a path of the server.
function AsyncHTTPTestCase:get_url(path)
    return ("%s://127.0.0.1:%d%s"):format(self:get_protocol(), self._port, path)
end

--- Fetches a path of the server, or a whole URL, and returns the response. Options as of
-- AsyncHTTPClient:fetch(), with raise_error = false.
function AsyncHTTPTestCase:fetch(path, options)
    local given = {}
    for name, value in pairs(options or {}) do given[name] = value end
    if given.raise_error == nil then given.raise_error = false end
    local url = path:lower():find "^https?://" and path or self:get_url(path)
    return self.http_client:fetch(url, given)
end

local AsyncHTTPSTestCase = AsyncHTTPTestCase:extend "AsyncHTTPSTestCase"
classes.AsyncHTTPSTestCase = AsyncHTTPSTestCase

--- May be replaced: the server's ssl_options, a self-signed certificate by default.
function AsyncHTTPSTestCase:get_ssl_options() -- luacheck: ignore 212/self
    return { self_signed = true }
end

function AsyncHTTPSTestCase:get_httpserver_options()
    return { ssl_options = self:get_ssl_options() }
end

function AsyncHTTPSTestCase:get_protocol() -- luacheck: ignore 212/self
    return "https"
end

--- As above, with validate_cert = false.
function AsyncHTTPSTestCase:fetch(path, options)
    local given = { validate_cert = false }
    for name, value in pairs(options or {}) do given[name] = value end
    return AsyncHTTPTestCase.fetch(self, path, given)
end

return classes
