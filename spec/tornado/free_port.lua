-- A port of 127.0.0.1 for a program that is started later. It is below those that the system gives
-- to whoever wants any, so nobody takes it meanwhile, nor does a client connect to itself.
local core = require "tornado.core"
local netutil = require "tornado.netutil"

local FIRST, COUNT = 10000, 20000

local tried = core.random(2):byte() * 256 -- each process begins elsewhere

return function()
    while true do
        tried = tried + 1
        local port = FIRST + tried % COUNT
        local ok, sockets = pcall(netutil.bind_sockets, port, "127.0.0.1")
        if ok then
            sockets[1]:close()
            return port
        end
    end
end
