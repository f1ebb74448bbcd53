-- Who is subscribed to a topic: how many, and the names that some of them have. Each worker is an
-- origin of its own; a name is there as long as one subscriber anywhere has it.
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local Presence = util.Object:extend "Presence"

--- Takes changed(topic, name or nil, origin or nil, joined, left), called when there is a change:
-- a name of this generation's own has come or gone, or another origin has told something.
function Presence:init(changed)
    self.changed = changed
    self._topics = {} -- topic -> { count =, names = name -> origins, origins = {}, watchers = {} }
end

local function entry_of(self, topic)
    local entry = self._topics[topic]
    if not entry then
        entry = { count = 0, names = {}, origins = {}, watchers = {} }
        self._topics[topic] = entry
    end
    return entry
end

local function part_of(entry, origin)
    local part = entry.origins[origin]
    if not part then
        part = { count = 0, names = {} }
        entry.origins[origin] = part
    end
    return part
end

local function drop_empty(self, topic, entry, origin)
    local part = entry.origins[origin]
    if part and part.count == 0 and not next(part.names) then entry.origins[origin] = nil end
    if not next(entry.origins) and not next(entry.watchers) then self._topics[topic] = nil end
end

-- In turns of their own, in order: watchers may wait, and may subscribe.
local function tell(entry, what, name)
    for watcher in pairs(entry.watchers) do
        ioloop.spawn_callback(watcher.call, what, name)
    end
end

local function set_name(entry, part, name, n)
    local before = part.names[name] or 0
    part.names[name] = n > 0 and n or nil
    if (before > 0) == (n > 0) then return false end
    local origins = (entry.names[name] or 0) + (n > 0 and 1 or -1)
    entry.names[name] = origins > 0 and origins or nil
    if n > 0 and origins == 1 then tell(entry, "join", name) end
    if n == 0 and origins == 0 then tell(entry, "leave", name) end
    return true
end

local OWN = "own"

--- A subscriber of this worker comes (1) or leaves (-1).
function Presence:change(topic, name, by)
    local entry = entry_of(self, topic)
    local part = part_of(entry, OWN)
    part.count, entry.count = part.count + by, entry.count + by
    local turned = name and set_name(entry, part, name, (part.names[name] or 0) + by)
    drop_empty(self, topic, entry, OWN)
    self.changed(topic, turned and name or nil)
end

--- What another origin has there: how many, names that came, names that left.
function Presence:set(topic, origin, count, joined, left)
    local entry = entry_of(self, topic)
    local part = part_of(entry, origin)
    entry.count = entry.count + count - part.count
    part.count = count
    for _, name in ipairs(joined) do set_name(entry, part, name, 1) end
    for _, name in ipairs(left) do set_name(entry, part, name, 0) end
    drop_empty(self, topic, entry, origin)
    self.changed(topic, nil, origin, joined, left)
end

--- The same from a full list of names; nothing happens when it is as before.
function Presence:replace(topic, origin, count, names)
    local entry = self._topics[topic]
    local part = entry and entry.origins[origin] or { count = 0, names = {} }
    local left, joined, now = {}, {}, {}
    for _, name in ipairs(names) do
        now[name] = true
        if not part.names[name] then joined[#joined + 1] = name end
    end
    for name in pairs(part.names) do
        if not now[name] then left[#left + 1] = name end
    end
    if part.count == count and #left == 0 and #joined == 0 then return end
    self:set(topic, origin, count, joined, left)
end

--- An origin is gone, with all that it had, but for the topics that are keys of `kept`, if given.
function Presence:forget(origin, kept)
    for topic, entry in pairs(self._topics) do
        local part = entry.origins[origin]
        if part and not (kept and kept[topic]) then
            local left = {}
            for name in pairs(part.names) do left[#left + 1] = name end
            self:set(topic, origin, 0, {}, left)
        end
    end
end

-- Other workers' origins are numbers; those of this one's other generations are not.
local function is_near(origin)
    return type(origin) ~= "number"
end

--- What other workers have: a list of { topic, origin, count, names }.
function Presence:far()
    local list = {}
    for topic, entry in pairs(self._topics) do
        for origin, part in pairs(entry.origins) do
            if not is_near(origin) then
                local names = {}
                for name in pairs(part.names) do names[#names + 1] = name end
                list[#list + 1] = { topic, origin, part.count, names }
            end
        end
    end
    return list
end

--- Other workers are another generation's to tell of.
function Presence:forget_far()
    for _, part in ipairs(self:far()) do self:set(part[1], part[2], 0, {}, part[4]) end
end

local function sum(self, topic, wanted)
    local entry, count, names = self._topics[topic], 0, {}
    for origin, part in pairs(entry and entry.origins or {}) do
        if wanted(origin) then
            count = count + part.count
            for name in pairs(part.names) do names[name] = true end
        end
    end
    return count, names
end

--- This worker's part of a topic: how many, and a map whose keys are names.
function Presence:own(topic)
    return sum(self, topic, is_near)
end

--- The same for another generation: this worker's part for the heir, which knows of other workers
--- itself; everything for the elder.
function Presence:for_kin(topic, role)
    return sum(self, topic, function(origin)
        return origin ~= role and (role == "elder" or is_near(origin))
    end)
end

--- Whether an origin has subscribers of any topic.
function Presence:has(origin)
    for _, entry in pairs(self._topics) do
        if entry.origins[origin] then return true end
    end
    return false
end

--- All topics that somebody is subscribed to.
function Presence:topics()
    local list = {}
    for topic, entry in pairs(self._topics) do
        if next(entry.origins) then list[#list + 1] = topic end
    end
    return list
end

--- How many there are, everywhere.
function Presence:count(topic)
    local entry = self._topics[topic]
    return entry and entry.count or 0
end

--- Their names, sorted, each once.
function Presence:names(topic)
    local list = {}
    local entry = self._topics[topic]
    for name in pairs(entry and entry.names or {}) do list[#list + 1] = name end
    table.sort(list)
    return list
end

--- See Hub:watch().
function Presence:watch(topic, fn)
    local entry = entry_of(self, topic)
    local watcher = {}
    function watcher.call(what, name)
        if entry.watchers[watcher] then fn(what, name) end
    end
    function watcher.close()
        entry.watchers[watcher] = nil
        if self._topics[topic] == entry then drop_empty(self, topic, entry, OWN) end
    end
    entry.watchers[watcher] = true
    return watcher
end

return Presence
