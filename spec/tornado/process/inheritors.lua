-- A program that has descriptors of all kinds, and prints those that its children have: as
-- os.execute(), io.popen() and Subprocess start them. For process_spec.lua.
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local httpserver = require "tornado.httpserver"
local iostream = require "tornado.iostream"
local process = require "tornado.process"
local resolver = require "tornado.netutil.resolver"
local tcpclient = require "tornado.tcpclient"
local tcpserver = require "tornado.tcpserver"
local web = require "tornado.web"

local STREAM = process.Subprocess.STREAM
local LIST = "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]* -> .*\\)/\\1/p'"

local Hello = web.RequestHandler:extend "Hello"
function Hello:get() self:write "hello" end

local http = httpserver.HTTPServer(web.Application { { "/", Hello } })
local client = httpclient.AsyncHTTPClient()
assert(client:fetch("http://" .. http:listen(0) .. "/").body == "hello")

local mute = iostream.UDPSocket { bind = "127.0.0.1:0" }
resolver.setup { servers = { table.concat(mute:local_address(), ":") } }
local asking = gen.spawn(pcall, resolver.Resolver.resolve, resolver.Resolver(), "mute.test", 80)
mute:recvfrom()

local server = tcpserver.TCPServer()
function server.handle_stream(_, stream) stream:read_until_close() end
local port = server:listen(0, "127.0.0.1")[1]:port()
local stream = tcpclient.TCPClient():connect("127.0.0.1", port)

local cat = process.Subprocess({ "cat" }, { stdin = STREAM, stdout = STREAM })

os.execute(LIST)
local pipe = io.popen(LIST)
io.write(pipe:read "*a")
pipe:close()
local shell = process.Subprocess({ "/bin/sh", "-c", LIST }, { stdout = STREAM })
io.write(shell.stdout:read_until_close())
asking:cancel()
stream:close()
cat.stdin:close()
os.exit(cat:wait())
