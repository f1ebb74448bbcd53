-- The boundary with C: the only module that names ffi.C. core/abi.h is the text
-- given to ffi.cdef, so the two cannot differ. Everything here is small and
-- without decisions, so that LuaJIT inlines it into whoever calls.
local ffi = require "ffi"
local abi = require "tornado.abi"

ffi.cdef((abi.text:gsub("\n#[^\n]*", "\n")))

-- In an executor's thread there is no loop: C is guarded.
local C = abi.thread and require "tornado.core.thread"(ffi.C, abi.text, function(...)
    abi.on_log(...)
end) or ffi.C
local vm = ffi.cast("ct_vm *", abi.vm)
abi.C, abi.state = C, vm -- for the rest of this boundary, core/bytes.lua
local to_string = ffi.string

local core = {
    OK = C.CT_OK,
    AGAIN = C.CT_AGAIN,
    CLOSED = C.CT_CLOSED,
    EOF = C.CT_EOF,
    LIMIT = C.CT_LIMIT,
    ERROR = C.CT_ERROR,
    temp_dir = "/tmp",
}

local function why()
    return to_string(C.ct_abi_why(vm))
end

--- Does nothing, in a way that LuaJIT cannot compile: a trace ends here and another one begins
-- behind. It stands before calls of the application's code, so that whatever that does (loops,
-- closures, uncompiled calls) cannot keep the framework's own traces from being made.
core.barrier = abi.barrier

--- script(name) returns the text of a file that is in the binary, by the name of a module
-- ("tornado.web") or, of other files, the path ("tornado/skeleton/static/site.css"); nil for none.
core.script = abi.script

-- Events ---------------------------------------------------------------------

for _, name in ipairs {
    "REQUEST",
    "BODY",
    "DRAIN",
    "GONE",
    "TIMEOUT",
    "TIMER",
    "CHANNEL",
    "ACCEPT",
    "WATCH",
    "DATAGRAM",
    "INOTIFY",
    "RESOLVED",
    "ENDED",
    "JOB",
    "PROCESS",
    "FETCH",
    "REOPEN",
    "WEBSOCKET",
    "RETIRE",
    "HEIR",
    "ELDER",
    "FAR_HEIR",
    "CONTROL",
    "HAND_OVER",
    "ESTATE",
    "MOVED",
    "RELOADED",
    "STOP",
} do
    core["EVENT_" .. name] = tonumber(C["CT_EVENT_" .. name])
end

core.REQUEST_BODY = tonumber(C.CT_REQUEST_BODY)
core.REQUEST_OLD = tonumber(C.CT_REQUEST_OLD)
core.REQUEST_CLOSE = tonumber(C.CT_REQUEST_CLOSE)
core.REQUEST_TLS = tonumber(C.CT_REQUEST_TLS)

--- An event to be filled by next_event().
function core.new_event()
    return ffi.new("ct_event")
end

--- Takes the next event into `event`; returns false when there is none.
function core.next_event(event)
    return C.ct_abi_next(vm, event) ~= 0
end

-- Requests --------------------------------------------------------------------

local METHODS = {
    [0] = false, "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH",
    "TRACE", "CONNECT",
}
local MAX_FIELDS = 64
local view = ffi.new("ct_str")
local info = ffi.new("ct_request_info")
local pairs_out = ffi.new("ct_pair[?]", MAX_FIELDS)

-- Here and below: a call of a builtin or of C in tail position would end LuaJIT's traces.
local function from_view(s)
    local text = to_string(s.p, s.n)
    return text
end

--- The method's name.
function core.request_method(event)
    local name = METHODS[event.method]
    if name then return name end
    if C.ct_abi_request_info(vm, event.handle, info) ~= C.CT_OK then return "" end
    return from_view(info.method)
end

--- The target as sent, and its path, still percent-encoded.
function core.request_uri(event)
    local uri = to_string(event.uri.p, event.uri.n)
    return uri
end

function core.request_path(event)
    local path = to_string(event.uri.p, event.path)
    return path
end

--- Returns the peer's IP ("" when it has left), the wall clock at the request's
-- beginning, and the minor version; nil when the request is gone.
function core.request_info(handle)
    if C.ct_abi_request_info(vm, handle, info) ~= C.CT_OK then return nil end
    return from_view(info.remote_ip), info.started, info.minor
end

--- The listener that a request came to; nil when it is gone.
function core.request_owner(handle)
    if C.ct_abi_request_info(vm, handle, info) ~= C.CT_OK then return nil end
    return info.owner
end

--- The first field with that name, and whether there are several; or nil.
function core.request_field(handle, name)
    local status = C.ct_abi_request_field(vm, handle, name, #name, view)
    if status == C.CT_OK then return from_view(view), false end
    if status == C.CT_AGAIN then return from_view(view), true end
    return nil
end

--- The value of a cookie of the request as sent, or nil.
function core.request_cookie(handle, name)
    if C.ct_abi_request_cookie(vm, handle, name, #name, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

--- All fields as a flat array { name1, value1, ... }, in the order sent.
function core.request_fields(handle)
    local out, n, from = {}, 0, 0
    repeat
        local count = C.ct_abi_request_fields(vm, handle, from, pairs_out, MAX_FIELDS)
        for i = 0, count - 1 do
            out[n + 1] = from_view(pairs_out[i].name)
            out[n + 2] = from_view(pairs_out[i].value)
            n = n + 2
        end
        from = from + count
    until count < MAX_FIELDS
    return out
end

function core.request_release(handle)
    C.ct_abi_request_release(vm, handle)
end

--- Writes a line to the access log: with the request's id, that of its trace, and its client's
-- address when it is not the peer's; or "".
function core.request_log(handle, id, trace, ip)
    C.ct_abi_request_log(vm, handle, id, #id, trace, #trace, ip, #ip)
end

--- Asks for the whole body: a status.
function core.body_collect(handle, max)
    local result = C.ct_abi_body_collect(vm, handle, max)
    return result
end

--- The collected body, or nil and a status.
function core.body_get(handle)
    local status = C.ct_abi_body_get(vm, handle, view)
    if status ~= C.CT_OK then return nil, status end
    local text = to_string(view.p, view.n)
    return text
end

--- The next piece of a streamed body, or nil and a status.
function core.body_read(handle, max)
    local status = C.ct_abi_body_read(vm, handle, max, view)
    if status ~= C.CT_OK then return nil, status end
    local text = to_string(view.p, view.n)
    return text
end

-- Replies ---------------------------------------------------------------------

core.FIELD_SET = tonumber(C.CT_FIELD_SET)
core.FIELD_ADD = tonumber(C.CT_FIELD_ADD)
core.FIELD_REMOVE = tonumber(C.CT_FIELD_REMOVE)
core.REPLY_NO_SERVER = tonumber(C.CT_REPLY_NO_SERVER)
core.REPLY_CLOSE = tonumber(C.CT_REPLY_CLOSE)
core.REPLY_LENGTH = tonumber(C.CT_REPLY_LENGTH)

--- Sets, adds or removes a field of the reply (FIELD_*): a status, ERROR for a bad value.
function core.field(handle, how, name, value)
    local result = C.ct_abi_field(vm, handle, how, name, #name, value, #value)
    return result
end

--- A field of the reply that was set, or nil.
function core.field_get(handle, name)
    if C.ct_abi_field_get(vm, handle, name, #name, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

--- The value of its line number `index` (0 on), or nil.
function core.field_nth(handle, name, index)
    if C.ct_abi_field_nth(vm, handle, name, #name, index, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

--- Forgets the fields that were set.
function core.field_clear(handle)
    local result = C.ct_abi_field_clear(vm, handle)
    return result
end

--- Sets a cookie; `text` is the value of its Set-Cookie field.
function core.reply_cookie(handle, name, text)
    local result = C.ct_abi_reply_cookie(vm, handle, #name, text, #text)
    return result
end

--- A whole reply, with the fields set so far; strings all. Returns a status.
function core.reply(handle, status, reason, content_type, body, length, flags)
    local result = C.ct_abi_reply(vm, handle, status, reason, #reason, content_type,
        #content_type, body, #body, length, flags)
    return result
end

function core.reply_start(handle, status, reason, content_type, length, flags)
    local result = C.ct_abi_reply_start(vm, handle, status, reason, #reason, content_type,
        #content_type, length, flags)
    return result
end

function core.reply_write(handle, piece)
    local result = C.ct_abi_reply_write(vm, handle, piece, #piece)
    return result
end

function core.reply_end(handle)
    local result = C.ct_abi_reply_end(vm, handle)
    return result
end

function core.reply_flushed(handle)
    local result = C.ct_abi_reply_flushed(vm, handle)
    return result
end

function core.reply_abort(handle)
    local result = C.ct_abi_reply_abort(vm, handle)
    return result
end

-- Timers and clocks -----------------------------------------------------------

--- A timer's handle; EVENT_TIMER comes with it.
function core.timer(seconds)
    local handle = C.ct_abi_timer(vm, seconds)
    if handle == 0 then error("too many timers", 2) end
    return handle
end

--- Returns false when the timer has fired already.
function core.timer_stop(handle)
    return C.ct_abi_timer_stop(vm, handle) == C.CT_OK
end

--- Wall clock, seconds since 1970, as of this turn of the loop.
function core.now()
    local result = C.ct_abi_wall(vm)
    return result
end

--- Monotonic clock in seconds, as of this turn.
function core.monotonic()
    local result = C.ct_abi_monotonic(vm)
    return result
end

--- Monotonic clock in seconds, read now.
function core.precise()
    local result = C.ct_abi_precise(vm)
    return result
end

--- What the watchdog looks at (ct_pulse): `beat` goes on with each callback.
core.pulse = C.ct_abi_pulse(vm)

--- Watches over the loop: logs who holds it for `stall` seconds, raises `err` in who holds it for
-- `limit`; 0: not that one.
function core.watchdog(stall, limit, err, places)
    abi.watchdog(stall, limit, err, places)
end

--- Limits the memory of this Lua state to so many bytes (0: no limit): raises `err` in who uses up
-- more than that, garbage not counted.
function core.memory_limit(bytes, err)
    abi.memory_limit(bytes, err)
end

--- Makes the loop turn again without waiting.
function core.wake()
    C.ct_abi_wake(vm)
end

-- The server ------------------------------------------------------------------

--- Lets this process have so many file descriptors (0: all that the system allows), and makes room
-- for `expected` of them at once. Returns how many it may have then.
function core.open_files(count, expected)
    return tonumber(C.ct_abi_open_files(count, expected))
end

--- Sets a limit of the server; `name` as in enum ct_option, in lower case.
function core.set_option(name, value)
    local option = C["CT_OPTION_" .. name:upper()]
    if C.ct_abi_option(vm, option, value) ~= C.CT_OK then error("bad option " .. name, 2) end
end

--- Sets the folder for spooled bodies, which core.temp_dir names too.
function core.set_temp_dir(path)
    core.temp_dir = path
    return C.ct_abi_temp_dir(vm, path) == C.CT_OK
end

--- Opens a listener (nil: without a socket); returns its number, or nil and why not.
function core.listen(address)
    local listener = C.ct_abi_listen(vm, address)
    if listener == 0 then return nil, why() end
    return listener
end

--- The address bound ("127.0.0.1:8888").
function core.listen_address(listener)
    if C.ct_abi_listen_address(vm, listener, view) ~= C.CT_OK then return nil end
    local text = to_string(view.p, view.n)
    return text
end

--- Closes a listener, and with `drop` its connections.
function core.listen_close(listener, drop)
    return C.ct_abi_listen_close(vm, listener, drop and 1 or 0) == C.CT_OK
end

--- Ends the process with that code after this turn.
function core.exit(code)
    C.ct_abi_exit(vm, code)
end

--- What is open, but for the static files that C knows and connections that clients keep, as
-- { connections, requests, timers, listeners, handled, descriptors }.
function core.counts()
    local out = ffi.new("ct_counts")
    C.ct_abi_counts(vm, out)
    return {
        connections = out.connections,
        requests = out.requests,
        timers = out.timers,
        listeners = out.listeners,
        channels = out.channels,
        handled = out.handled,
        unsent = out.unsent,
        files = out.files,
        digests = out.digests,
        resolves = out.resolves,
        watches = C.ct_abi_watches(vm),
        jobs = out.jobs,
        processes = out.processes,
        fetches = out.fetches,
        pooled = out.pooled,
        websockets = out.websockets,
        descriptors = C.ct_abi_descriptors() - out.files - out.pooled, -- but for those
    }
end

-- Log ---------------------------------------------------------------------------

--- Writes a message; level 0 (debug) to 3 (error). `id` is that of the request it is about, `trace`
-- that of the request's trace; or nil.
function core.log(level, where, text, id, trace)
    C.ct_abi_log(vm, level, where, id or "", trace or "", text, #text)
end

--- Makes each line of the log a JSON object, or text again.
function core.log_json(json)
    C.ct_abi_log_json(vm, json and 1 or 0)
end

function core.log_level()
    local result = C.ct_abi_log_level(vm)
    return result
end

function core.log_set_level(level)
    C.ct_abi_log_set_level(vm, level)
end

--- Sends the log to a file which is rotated before it has more than `most` bytes, keeping `backups`
-- older ones (path.1, path.2, ...); nil and why not.
function core.log_open_rotated(path, most, backups)
    if C.ct_abi_log_open_rotated(vm, path, most, backups) ~= C.CT_OK then return nil, why() end
    return true
end

--- Sends the log to a file; nil and why not.
function core.log_open(path)
    if C.ct_abi_log_open(vm, path) ~= C.CT_OK then return nil, why() end
    return true
end

--- Opens the access log, or closes it with ""; `format` as in enum ct_access_format, in lower case
-- ("auto"). Nil and why not: then the one before is still open.
function core.access_log_open(path, format)
    local number = C["CT_ACCESS_" .. (format or "auto"):upper()]
    if C.ct_abi_access_log_open(vm, path, number) ~= C.CT_OK then return nil, why() end
    return true
end

-- Bytes, and files -----------------------------------------------------------------

for _, part in ipairs {
    "bytes",
    "channels",
    "client",
    "codings",
    "document",
    "files",
    "generation",
    "inotify",
    "jobs",
    "listeners",
    "metrics",
    "processes",
    "profile",
    "rate",
    "resolver",
    "terminal",
    "tls",
    "sockets",
    "websocket",
} do
    for name, fn in pairs(require("tornado.core." .. part)) do core[name] = fn end
end

--- "folder", "file", or nil for anything else.
function core.file_kind(path)
    local kind = C.ct_abi_file_kind(path)
    return kind == 1 and "folder" or kind == 2 and "file" or nil
end

--- The names in a folder, sorted; nil and why not.
function core.folder(path)
    local size, need = 0, 4096
    local names
    while need > size do
        size = need
        names = ffi.new("char[?]", size)
        need = C.ct_abi_folder(vm, path, names, size)
        if need < 0 then return nil, why() end
    end
    local list = {}
    for name in to_string(names, need):gmatch("[^%z]+") do list[#list + 1] = name end
    table.sort(list)
    return list
end

--- The path with the current folder before it, unless it begins with "/".
function core.absolute(path)
    if path:sub(1, 1) == "/" then return path end
    return to_string(C.ct_abi_here(vm)) .. "/" .. path
end

assert(C.CT_ABI_VERSION == 1, "the binary and lua/tornado/core.lua do not belong together")

return core
