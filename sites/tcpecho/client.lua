-- The client of the tcpecho demo: sends lines, and prints what comes back.
--
--     ctornado run sites/tcpecho/client.lua HOST PORT TEXT ...
local tcpclient = require "tornado.tcpclient"

local host, port = ..., tonumber((select(2, ...)))
if not port then
    io.stderr:write("usage: ctornado run sites/tcpecho/client.lua HOST PORT TEXT ...\n")
    os.exit(2)
end

local stream = tcpclient.TCPClient():connect(host, port, { timeout = 5 })
for i = 3, select("#", ...) do
    stream:write((select(i, ...)) .. "\n")
    io.stdout:write("Response from server: ", stream:read_until("\n", { timeout = 5 }))
end
stream:close()
