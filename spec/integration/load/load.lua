-- Run by load.py: rounds of waits and fetches in one process, and rounds of such that are
-- cancelled. Behind each a line: what is left, and the memory of the process in KiB.
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local locks = require "tornado.locks"
local queues = require "tornado.queues"
local web = require "tornado.web"

local SLEEPS, FETCHES, ROUNDS = 10000, 1000, tonumber((...))

local Wait = web.RequestHandler:extend "Wait"

Wait.cancel_on_disconnect = true

function Wait:get()
    gen.sleep(tonumber(self:get_argument("s")))
    self:write(("x"):rep(1000))
end

local server = httpserver.HTTPServer(web.Application { { "/", Wait } })
local base = "http://" .. server:listen_on "127.0.0.1:0" .. "/?s="
local client = httpclient.AsyncHTTPClient { max_clients = FETCHES }

local function fetch(seconds)
    local response = client:fetch(base .. seconds, { request_timeout = 60, connect_timeout = 60 })
    assert(#response.body == 1000)
end

local function concurrent()
    local tasks = {}
    for i = 1, SLEEPS do tasks[i] = gen.spawn(gen.sleep, 0.3) end
    for i = 1, FETCHES do tasks[SLEEPS + i] = gen.spawn(fetch, 0.3) end
    local most = ioloop.counts().waiting
    for _, task in ipairs(tasks) do gen.await(task) end
    return most
end

-- A thousand in each kind of wait, cancelled there.
local function aborted()
    local tasks, open = {}, {}
    local lock, queue = locks.Lock(), queues.Queue()
    lock:acquire()
    local function spawn(...) tasks[#tasks + 1] = gen.spawn(...) end
    for i = 1, FETCHES do
        spawn(gen.sleep, 60)
        spawn(fetch, 60)
        spawn(lock.acquire, lock)
        spawn(queue.get, queue)
        if i % 10 == 0 then
            local a, b = iostream.pair()
            open[#open + 1], open[#open + 2] = a, b
            spawn(a.read_until, a, "\n")
        end
    end
    local most = ioloop.counts().waiting
    while core.counts().fetches < FETCHES do gen.sleep(0.001) end
    for _, task in ipairs(tasks) do task:cancel() end
    for _, task in ipairs(tasks) do assert(not pcall(gen.await, task)) end
    for _, stream in ipairs(open) do stream:close() end
    lock:release()
    return most
end

local function status(name)
    local file = assert(io.open "/proc/self/status")
    local text = file:read "*a"
    file:close()
    return tonumber(text:match(name .. ":%s*(%d+)"))
end

local function say(what, most)
    while core.counts().requests > 0 do gen.sleep(0.001) end
    client:close() -- and the connections that it keeps
    client = httpclient.AsyncHTTPClient { max_clients = FETCHES }
    while core.counts().connections > 0 do gen.sleep(0.001) end
    collectgarbage()
    collectgarbage()
    print(what, most, ioloop.counts().waiting, core.counts().timers, core.counts().fetches,
        core.counts().descriptors, math.floor(collectgarbage "count"), status "VmRSS")
end

print("kind", "most", "waiting", "timers", "fetches", "descriptors", "lua", "rss")
for _ = 1, ROUNDS do
    say("concurrent", concurrent())
    say("aborted", aborted())
end
client:close()
server:stop()
