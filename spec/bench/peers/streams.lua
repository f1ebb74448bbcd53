-- What spec/bench/streams measures: echoes lines, or reads all and counts, on a free port.
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local tcpserver = require "tornado.tcpserver"
local util = require "tornado.util"

local Server = tcpserver.TCPServer:extend "Server"
local sink = ... == "sink"

local function serve(stream)
    while sink do stream:read_bytes(65536, { partial = true }) end
    while true do stream:write(stream:read_until("\n")) end
end

function Server:handle_stream(stream)
    local _, err = pcall(serve, stream)
    if not util.isinstance(err, iostream.StreamClosedError) then error(err, 0) end
end

local sockets = Server():listen(0, "127.0.0.1")
io.stdout:write("listening on ", sockets[1]:address(), "\n")
io.stdout:flush()
ioloop.wait(ioloop.waiter())
