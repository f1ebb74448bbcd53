-- Tornado's tcpecho demo: each line that comes goes back.
--
--     ctornado run sites/tcpecho/server.lua [PORT]
--
-- It serves on 127.0.0.1 (port 8888) until it is stopped.
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local log = require "tornado.log"
local tcpserver = require "tornado.tcpserver"
local util = require "tornado.util"

local EchoServer = tcpserver.TCPServer:extend "EchoServer"

local MAX_LINE = 65536

function EchoServer:handle_stream(stream, address)
    local ok, err = pcall(function()
        while true do
            local line = stream:read_until("\n", { max_bytes = MAX_LINE })
            log.app_log:info("Received %d bytes from %s", #line, address[1])
            stream:write(line)
        end
    end)
    if ok or util.isinstance(err, iostream.StreamClosedError) then
        log.app_log:info("Lost client at host %s", address[1])
    else
        error(err, 0)
    end
end

local server = EchoServer()
local sockets = server:listen(tonumber((...) or 8888), "127.0.0.1")
io.stdout:write("listening on ", sockets[1]:address(), "\n")
io.stdout:flush()
ioloop.wait(ioloop.waiter())
