-- Publish and subscribe: what one handler publishes to a topic, all its subscribers get, in one
-- order, be they functions, event streams, WebSockets or queues.
-- Tornado: has nothing of the kind.
--
-- Contents: publish, subscribe, history, poll, subscribers, presence, watch (those of the default
-- hub, see pubsub/hub.lua); Hub for hubs apart; Local, the backend of one worker, cluster() of
-- all workers of a server; configure(). One over Redis, for several machines, has its place beside
-- these, and comes with the Redis client. The default hub of each generation of the sites is joined
-- with those of the others (kin.lua), and in a server with workers with those of the other workers,
-- unless configure() gave it another backend.
local core = require "tornado.core"
local Cluster = require "tornado.pubsub.cluster"
local generation = require "tornado.generation"
local Hub = require "tornado.pubsub.hub"
local Kin = require "tornado.pubsub.kin"
local Local = require "tornado.pubsub.local"
local log = require "tornado.log"
local util = require "tornado.util"
local Waiting = require "tornado.pubsub.waiting"

local pubsub = {}

local LIMITS = { history = 100, history_bytes = 1048576, topics = 10000 }

local function check_numbers(options, names)
    for name in pairs(names) do
        local value = options[name]
        if type(value) ~= "number" or value < 0 or value ~= value then
            error(("bad %s: expected a number that is not negative, got %s"):format(name,
                util.shown(value)), 3)
        end
    end
    return options
end

--- A backend for this worker alone. Options: history (messages kept of a topic, 100),
-- history_bytes (of a topic, 1 MiB), topics (with history at a time, 10000).
function pubsub.Local(options)
    local limits = check_numbers(util.options(options, LIMITS, "Local"), LIMITS)
    return Local(limits)
end

local CLUSTER = { path = util.NONE, index = util.NONE, count = util.NONE, buffer = 16777216,
    max_message = 1048576 }
local NUMBERS = { index = true, count = true, buffer = true, max_message = true }
for name, default in pairs(LIMITS) do CLUSTER[name], NUMBERS[name] = default, true end

--- A backend that joins the `count` workers of a server, of which this is number `index` (from 1
--- on): publish(), history, subscribers() and presence() are those of all together. `path` is a
--- folder for their sockets, in which no other server's lie and others cannot write. Options also:
--- buffer (bytes that may wait for a worker, 16 MiB), max_message (bytes, 1 MiB), and those of
--- Local(). publish() raises Unreachable when more waits for a worker that is not there. Raises a
--- SocketError when it is given to a hub and the socket cannot be opened.
function pubsub.cluster(options)
    options = check_numbers(util.options(options, CLUSTER, "cluster"), NUMBERS)
    if type(options.path) ~= "string" then
        error("bad path: expected a folder, got " .. util.shown(options.path), 2)
    end
    if options.count < 1 or options.index < 1 or options.index > options.count or
        options.index % 1 ~= 0 or options.count % 1 ~= 0 then
        error(("bad index: expected 1 to count, got %s of %s"):format(options.index,
            options.count), 2)
    end
    local limits = { history = options.history, history_bytes = options.history_bytes,
        topics = options.topics }
    return Cluster(options, limits)
end

pubsub.Unreachable = Cluster.Unreachable

local function check_backend(backend)
    if type(backend) == "table" and util.is_callable(backend.attach) then return end
    error("bad backend: expected what Local() or cluster() returns, got " .. util.shown(backend), 3)
end

--- A hub of its own over a backend (default: Local()).
function pubsub.Hub(backend)
    if backend ~= nil then check_backend(backend) end
    return Hub(backend or pubsub.Local())
end

local default
local configured = false
local limits = LIMITS -- of the default hub

local function hub()
    default = default or pubsub.Hub(Local(limits))
    return default
end

local function join(role)
    return function(descriptor, is_far)
        if role == "heir" and not default then return false end
        local own = hub()
        own._kin = own._kin or Kin(own)
        own._kin:join(role, descriptor, is_far)
        return true
    end
end

generation.join("heir", join "heir")
generation.join("elder", join "elder")

--- Before the first of the functions of this module is used: gives them another backend; or, from
-- a table with options of Local(), sets the limits of the one they have, which is joined with those
-- of the other workers all the same.
function pubsub.configure(backend)
    if default then error("configure() must come before the first use", 2) end
    if type(backend) == "table" and not backend.attach then
        limits = check_numbers(util.options(backend, LIMITS, "configure"), LIMITS)
        return
    end
    check_backend(backend)
    default, configured = Hub(backend), true
end

local function join_others(own, path)
    return function(state)
        local backend = pubsub.cluster { path = path, index = core.worker(),
            count = core.workers(), history = limits.history,
            history_bytes = limits.history_bytes, topics = limits.topics }
        backend:go_on(own.backend.store, state)
        local ok, err = pcall(own.use, own, backend)
        if ok then return end
        log.gen_log:error("pubsub: this worker is not joined with the others: %s", err)
        own:use(Local.over(backend.store))
    end
end

-- An heir has to wait until all of its workers serve.
local UPGRADE = 60 -- seconds

--- For serving: all is loaded and this generation serves. Joins the default hub with those of the
--- master's other workers, if there are any; a later generation, or a process that does an upgrade,
--- takes the place of the one before.
function pubsub.join_workers()
    local path = core.shared_folder()
    if configured or core.workers() < 2 or path == "" then return end
    local own = hub()
    local join_now = join_others(own, path)
    local is_heir = core.generation() == 1 and core.is_heir()
    if core.generation() == 1 and not is_heir then return join_now() end
    own:use(Waiting(own.backend.store, join_now, is_heir and UPGRADE or nil))
end

for _, name in ipairs {
    "publish", "subscribe", "history", "poll", "subscribers", "presence", "watch",
} do
    pubsub[name] = function(...) return Hub[name](hub(), ...) end
end

return pubsub
