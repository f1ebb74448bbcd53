-- A name server for specs: a UDP socket of the loopback that is looked at in each millisecond. A
-- name's first label says what happens: mute, nx, servfail, four (IPv4 alone), half (127.0.0.1, and
-- never a word of IPv6); all others have 192.0.2.1 and 2001:db8::1.
local ffi = require "ffi"
local ioloop = require "tornado.ioloop"
local netutil = require "tornado.netutil"

ffi.cdef [[
    int dns_spec_socket(int domain, int type, int protocol) __asm__("socket");
    int dns_spec_bind(int fd, const void *at, uint32_t size) __asm__("bind");
    int dns_spec_name(int fd, void *at, uint32_t *size) __asm__("getsockname");
    long dns_spec_recv(int fd, void *p, size_t n, int flags, void *from, uint32_t *size)
        __asm__("recvfrom");
    long dns_spec_send(int fd, const void *p, size_t n, int flags, const void *to, uint32_t size)
        __asm__("sendto");
    int dns_spec_close(int fd) __asm__("close");
]]

local C = ffi.C
local AF_INET, SOCK_DGRAM, DONTWAIT = 2, 2, 0x40
local A = "\0\1"

local RECORDS = { -- by type: IPv4, IPv6
    [A] = "\192\12\0\1\0\1\0\0\0\60\0\4\192\0\2\1",
    ["\0\28"] = "\192\12\0\28\0\1\0\0\0\60\0\16\32\1\13\184\0\0\0\0\0\0\0\0\0\0\0\1",
}

-- The labels of the name in a question, and its type.
local function question_of(packet)
    local labels, at = {}, 13
    while packet:byte(at) ~= 0 do
        local n = packet:byte(at)
        labels[#labels + 1] = packet:sub(at + 1, at + n)
        at = at + n + 1
    end
    return table.concat(labels, "."), packet:sub(at + 1, at + 2), packet:sub(13, at + 4)
end

-- What a name's first label asks for.
local function answer_to(packet)
    local name, type, question = question_of(packet)
    local kind = name:match("^%a+")
    local rcode, record = 0, RECORDS[type]
    if kind == "mute" or kind == "half" and type ~= A then return nil, name end
    if kind == "half" then record = record:sub(1, -5) .. "\127\0\0\1" end
    if kind == "nx" then rcode, record = 3, nil end
    if kind == "servfail" then rcode, record = 2, nil end
    if kind == "four" and type ~= A then record = nil end
    return packet:sub(1, 2) .. "\129" .. string.char(128 + rcode) .. "\0\1\0" ..
        (record and "\1" or "\0") .. "\0\0\0\0" .. question .. (record or ""), name
end

-- A server for the length of the case, whose finally() it takes, which the resolver asks:
-- { port =, asked = names }.
local function serve(finally, options)
    local from, size = ffi.new("uint8_t[16]", { AF_INET, 0, 0, 0, 127, 0, 0, 1 }),
        ffi.new("uint32_t[1]", 16)
    local buffer = ffi.new("uint8_t[512]")
    local fd = C.dns_spec_socket(AF_INET, SOCK_DGRAM, 0)
    assert(C.dns_spec_bind(fd, from, 16) == 0 and C.dns_spec_name(fd, from, size) == 0)
    local server = { port = from[2] * 256 + from[3], asked = {} }
    local timer
    local function look()
        while true do
            local n = tonumber(C.dns_spec_recv(fd, buffer, 512, DONTWAIT, from, size))
            if n < 0 then break end
            local reply, name = answer_to(ffi.string(buffer, n))
            server.asked[#server.asked + 1] = name
            if reply then C.dns_spec_send(fd, reply, #reply, 0, from, size[0]) end
        end
        timer = ioloop.call_later(0.001, look)
    end
    look()
    options = options or {}
    options.servers = { "127.0.0.1:" .. server.port }
    options.conf = "/dev/null"
    netutil.setup(options)
    finally(function()
        ioloop.remove_timeout(timer)
        C.dns_spec_close(fd)
        netutil.setup()
    end)
    return server
end

return serve
