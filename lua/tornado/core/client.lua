-- The part of tornado.core that is requests to other servers: what httpclient stands on. It has C
-- from core.lua, which loads it.
local abi = require "tornado.abi"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local client = {}

for _, name in ipairs {
    "HEAD", "BODY", "UPLOAD", "STREAM", "DECODE", "EXPECT", "NO_VERIFY", "IPV4", "DIGEST",
    "PROXY_DIGEST", "ENV_PROXY", "HTTP10", "HTTP11", "HTTP2", "PUBLIC", "TLS13", "FAILED",
    "CONNECT_TIMEOUT", "TIMEOUT", "CLOSED", "HEADER_MAX", "BODY_MAX", "BAD", "NO_TUNNEL",
    "USERNAME", "PASSWORD", "PROXY", "PROXY_USERNAME", "PROXY_PASSWORD", "CA_CERTS", "CLIENT_CERT",
    "CLIENT_KEY", "CIPHERS", "INTERFACE", "UNIX_SOCKET", "CONNECT_TO", "RESOLVE",
} do
    client["FETCH_" .. name] = tonumber(C["CT_FETCH_" .. name])
end

local view = ffi.new("ct_str")
local info = ffi.new("ct_fetch_info")
local request = ffi.new("ct_fetch_request")

--- A client that keeps at most `pool` idle connections and opens at most `most` at once,
-- `host_most` of them to one host (0: any number); nil and why not.
function client.client(pool, most, host_most)
    local handle = C.ct_abi_client(vm, pool, most, host_most)
    if handle == 0 then return nil, to_string(C.ct_abi_why(vm)) end
    return handle
end

--- Closes its connections and ends its fetches.
function client.client_close(handle)
    return C.ct_abi_client_close(vm, handle) == C.CT_OK
end

--- A fetch that is not started, or nil.
function client.fetch(handle)
    local fetch = C.ct_abi_fetch(vm, handle)
    if fetch == 0 then return nil end
    return fetch
end

--- Sets one of FETCH_USERNAME and the like before the start; nil and why not.
function client.fetch_text(fetch, what, text)
    if C.ct_abi_fetch_text(vm, fetch, what, text) == C.CT_OK then return true end
    return nil, to_string(C.ct_abi_why(vm))
end

--- Starts; strings and numbers all: `fields` are lines "Name: value\n", the limits a table with
-- connect_timeout, request_timeout, max_body_size, max_header_size and upload_size. Nil and why
-- not.
function client.fetch_start(fetch, url, method, fields, body, limits, flags)
    request.url.p, request.url.n = url, #url
    request.method.p, request.method.n = method, #method
    request.fields.p, request.fields.n = fields, #fields
    request.body.p, request.body.n = body, #body
    request.upload_size = limits.upload_size
    request.connect_timeout = limits.connect_timeout
    request.request_timeout = limits.request_timeout
    request.max_body_size = limits.max_body_size
    request.max_header_size = limits.max_header_size
    request.flags = flags
    if C.ct_abi_fetch_start(vm, fetch, request) == C.CT_OK then return true end
    return nil, to_string(C.ct_abi_why(vm))
end

--- Whether its final head is here, and whether it is done; nil when it is gone.
function client.fetch_state(fetch)
    if C.ct_abi_fetch_info(vm, fetch, info) ~= C.CT_OK then return nil end
    return info.whole ~= 0, info.done ~= 0
end

--- Behind fetch_state(): the code, the version (11) and the head's lines.
function client.fetch_head()
    local head = to_string(info.head.p, info.head.n)
    return info.code, info.version, head
end

--- Behind fetch_state(): nil, or FETCH_FAILED and the like, libcurl's code, and why.
function client.fetch_failure()
    if info.failure == 0 then return nil end
    return info.failure, info.curl, to_string(info.why.p, info.why.n)
end

--- Behind fetch_state(), of one that is done: libcurl's times by name, in seconds.
function client.fetch_times()
    local t = info.times
    return {
        queue = 0, namelookup = t[0], connect = t[1], appconnect = t[2], pretransfer = t[3],
        starttransfer = t[4], total = t[5], redirect = t[6],
    }
end

--- All of the body that is here, or nil and a status.
function client.fetch_read(fetch)
    local status = C.ct_abi_fetch_read(vm, fetch, view)
    if status ~= C.CT_OK then return nil, status end
    local text = to_string(view.p, view.n)
    return text
end

--- Gives a piece of the body to send: a status, LIMIT when it was not taken.
function client.fetch_write(fetch, piece)
    local status = C.ct_abi_fetch_write(vm, fetch, piece, #piece)
    return status
end

--- Bytes of the body given and not sent.
function client.fetch_unsent(fetch)
    local size = C.ct_abi_fetch_unsent(vm, fetch)
    return size
end

function client.fetch_write_end(fetch)
    local status = C.ct_abi_fetch_write_end(vm, fetch)
    return status
end

--- Gives it back; its connection is closed when it is not done.
function client.fetch_release(fetch)
    C.ct_abi_fetch_release(vm, fetch)
end

return client
