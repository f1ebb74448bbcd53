-- The contract between C and Lua: what Lua reads is what C writes, and old handles are
-- harmless. C's side of the sizes is in core/vm/abi.c.
local abi = require "tornado.abi"
local core = require "tornado.core"
local ffi = require "ffi"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local testing = require "tornado.testing"

local GET = "GET /x?y HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-two: 2\r\nX-One: 3\r\n\r\n"

-- A request whose reply has gone: its handle is old.
local function old_request()
    local old
    local server = testing.serve(function(request)
        old = request.handle
        core.reply(request.handle, 200, "", "", "", -1, 0)
        httpserver.release(request)
    end)
    server:fetch("/")
    return old
end

-- Holds a request open while fn(handle, connection) runs.
local function with_request(bytes, fn)
    local held
    local server = testing.serve(function(request) held = request end)
    local connection = server:connect()
    connection:send(bytes)
    testing.wait_until(function() return held end)
    fn(held.handle, connection, held)
    httpserver.release(held)
end

describe("the ABI", function()
    it("has structs of the sizes that C has", function()
        for name, size in pairs { ct_str = 16, ct_pair = 32, ct_event = 40, ct_request_info = 48,
            ct_counts = 60, ct_resolved = 40, ct_file_info = 48, ct_job_result = 56,
            ct_disk_args = 48, ct_spawn = 64, ct_spawned = 20, ct_fetch_request = 104,
            ct_fetch_info = 112, ct_websocket_options = 104, ct_websocket_item = 24,
            ct_metric_wish = 64, ct_folder_change = 24 } do
            assert.equal(size, ffi.sizeof(name))
        end
        local at = 0
        for _, field in ipairs { "type", "handle", "owner", "method", "flags", "path" } do
            assert.equal(at, ffi.offsetof("ct_event", field))
            at = at + 4
        end
        assert.equal(24, ffi.offsetof("ct_event", "uri"))
        assert.equal(8, ffi.offsetof("ct_str", "n"))
        assert.equal(40, ffi.offsetof("ct_request_info", "minor"))
    end)

    it("keeps to its own rules: no 64-bit integers, macros, varargs, unions, bit-fields", function()
        local text = abi.text:gsub("/%*.-%*/", ""):gsub("\n#[^\n]*", "\n")
        for _, word in ipairs { "int64_t", "size_t", "long", "union", "%.%.%.", "inline",
            ":%s*%d", "%(%*" } do
            assert.is_nil(text:find(word), word)
        end
        assert.is_nil(text:find("#", 2, true))
    end)

    it("answers CLOSED for old handles of requests", function()
        local handle = old_request()
        assert.equal(core.CLOSED, core.reply(handle, 200, "", "", "", -1, 0))
        assert.equal(core.CLOSED, core.reply_start(handle, 200, "", "", -1, 0))
        assert.equal(core.CLOSED, core.reply_write(handle, "x"))
        assert.equal(core.CLOSED, core.reply_end(handle))
        assert.equal(core.CLOSED, core.reply_flushed(handle))
        assert.equal(core.CLOSED, core.reply_abort(handle))
        assert.equal(core.CLOSED, core.body_collect(handle, 10))
        assert.same({ nil, core.CLOSED }, { core.body_get(handle) })
        assert.same({ nil, core.CLOSED }, { core.body_read(handle, 10) })
        assert.is_nil(core.request_info(handle))
        assert.is_nil(core.request_field(handle, "Host"))
        assert.same({}, core.request_fields(handle))
        core.request_log(handle, "", "", "")
        core.request_release(handle)
    end)

    it("answers the same for handles that never were", function()
        for _, handle in ipairs { 0, 1, 0xffffffff, 0xfffff, 0x100000, 12345678 } do
            assert.equal(core.CLOSED, core.reply(handle, 200, "", "", "", -1, 0))
            assert.is_nil(core.request_info(handle))
            core.request_release(handle)
            assert.is_false(core.timer_stop(handle))
            assert.is_false(core.listen_close(handle))
            assert.is_nil(core.listen_address(handle))
            assert.equal(core.CLOSED, core.channel_send(handle, "x"))
            assert.same({ nil, core.CLOSED }, { core.channel_recv(handle, 10) })
            assert.equal(0, core.channel_unsent(handle))
            assert.equal(core.CLOSED, core.channel_shut(handle))
            assert.equal(core.CLOSED, core.channel_close(handle))
        end
    end)

    it("answers ERROR for calls out of order", function()
        with_request(GET, function(handle, connection)
            assert.equal(core.ERROR, core.reply_write(handle, "x"))
            assert.equal(core.ERROR, core.reply_end(handle))
            assert.equal(core.OK, core.reply_start(handle, 200, "", "", 3, 0))
            assert.equal(core.ERROR, core.reply_start(handle, 200, "", "", 3, 0))
            assert.equal(core.ERROR, core.reply(handle, 200, "", "", "", -1, 0))
            assert.equal(core.ERROR, core.reply_write(handle, "four"))
            assert.equal(core.OK, core.reply_write(handle, "abc"))
            assert.equal(core.ERROR, core.reply_write(handle, "d"))
            assert.equal(core.OK, core.reply_end(handle))
            assert.equal(core.ERROR, core.reply_end(handle))
            assert.equal(core.ERROR, core.reply_write(handle, "x"))
            assert.equal("abc", connection:read_response().body)
        end)
    end)

    it("cuts off a reply that is released before its end", function()
        with_request(GET, function(handle, connection, request)
            core.reply_start(handle, 200, "", "", -1, 0)
            core.reply_write(handle, "beginning")
            httpserver.release(request)
            assert.is_false((pcall(connection.read_response, connection)))
            assert.equal(core.CLOSED, core.reply_end(handle))
        end)
        with_request(GET, function(_, connection, request)
            httpserver.release(request)
            assert.equal("", (connection:read_until_close()))
        end)
    end)

    it("gives the request as it was sent", function()
        with_request(GET, function(handle)
            local ip, started, minor = core.request_info(handle)
            assert.equal("127.0.0.1", ip)
            assert.truthy(math.abs(started - os.time()) < 5)
            assert.equal(1, minor)
            assert.same({ "1", true }, { core.request_field(handle, "x-one") })
            assert.same({ "2", false }, { core.request_field(handle, "X-TWO") })
            assert.is_nil((core.request_field(handle, "X-Three")))
            assert.same({ "Host", "a", "X-One", "1", "x-two", "2", "X-One", "3" },
                core.request_fields(handle))
        end)
    end)

    it("counts what is open", function()
        local before = core.counts()
        local listener = assert(core.listen("127.0.0.1:0"))
        local timer = core.timer(60)
        local channel = assert(core.connect(core.listen_address(listener)))
        local now = core.counts()
        assert.equal(before.listeners + 1, now.listeners)
        assert.equal(before.timers + 1, now.timers)
        assert.equal(before.channels + 1, now.channels)
        assert.truthy(now.descriptors > before.descriptors)
        assert.is_true(core.timer_stop(timer))
        assert.is_false(core.timer_stop(timer))
        assert.equal(core.OK, core.channel_close(channel))
        assert.equal(core.CLOSED, core.channel_close(channel))
        assert.is_true(core.listen_close(listener, true))
        assert.is_false(core.listen_close(listener, true))
        testing.wait_until(function()
            now = core.counts()
            now.handled = before.handled
            return pcall(assert.same, before, now)
        end)
    end)

    it("gives a slot another handle each time", function()
        local seen = {}
        for _ = 1, 5000 do
            local timer = core.timer(60)
            assert(not seen[timer], "a handle came twice")
            seen[timer] = true
            core.timer_stop(timer)
        end
    end)

    it("holds channels to their limit", function()
        local server = testing.serve(function() end)
        local channel = assert(core.connect(server.address))
        finally(function() core.channel_close(channel, true) end)
        gen.sleep(0.001)
        local piece, sent = ("x"):rep(65536), 0
        repeat
            local status = core.channel_send(channel, piece)
            sent = sent + #piece
        until status == core.LIMIT or sent > 64 * 1048576
        assert.truthy(core.channel_unsent(channel) <= 1048576)
        assert.truthy(sent < 64 * 1048576)
    end)

    it("names what is wrong with addresses and options", function()
        for _, address in ipairs { "", "x", ":", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536" } do
            local listener, why = core.listen(address)
            assert.is_nil(listener)
            assert.equal("string", type(why))
            local channel
            channel, why = core.connect(address)
            assert.is_nil(channel)
            assert.equal("string", type(why))
        end
        assert.has_error(function() core.set_option("no_such_option", 1) end)
    end)
end)
