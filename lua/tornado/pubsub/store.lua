-- The last messages of each topic. Bounded three ways: messages of a topic, their bytes, and
-- topics, of which the one that has been silent for longest is forgotten first.
local chains = require "tornado.util.chain"
local util = require "tornado.util"

local Store = util.Object:extend "Store"

--- Takes limits: history (messages), history_bytes, topics.
function Store:init(limits)
    self.limits = limits
    self.top = 0 -- the greatest id
    self._topics = {}
    self._chain = chains.new()
end

local function entry_of(self, topic)
    local entry = self._topics[topic]
    if not entry then
        entry = { topic = topic, first = 1, last = 0, bytes = 0, last_id = 0 }
        self._topics[topic] = entry
    end
    self._chain:remove(entry)
    self._chain:append(entry)
    if self._chain.count > self.limits.topics then
        local oldest = self._chain.first
        self._chain:remove(oldest)
        self._topics[oldest.topic] = nil
    end
    return entry
end

local function trim(self, entry)
    local limits = self.limits
    while entry.first <= entry.last and (entry.last - entry.first >= limits.history or
        entry.bytes > limits.history_bytes) do
        entry.bytes = entry.bytes - #entry[entry.first]:text()
        entry[entry.first] = nil
        entry.first = entry.first + 1
        entry.cut = true
    end
end

--- Adds a message; returns "new" behind all of its topic, "first" when nothing is known of that
-- yet, "old" between others, nil for one that is here.
function Store:add(message)
    local id = message.id
    if id > self.top then self.top = id end
    local entry = entry_of(self, message.topic)
    local kind = entry.last_id == 0 and "first" or "new"
    local at = entry.last + 1
    if id <= entry.last_id then
        kind = "old"
        while at > entry.first and entry[at - 1].id >= id do
            if entry[at - 1].id == id then return nil end
            at = at - 1
        end
        if at == entry.first and entry.cut then return nil end
    else
        entry.last_id = id
    end
    for i = entry.last, at, -1 do entry[i + 1] = entry[i] end
    entry[at] = message
    entry.last = entry.last + 1
    entry.bytes = entry.bytes + #message:text()
    trim(self, entry)
    return kind
end

--- The last `limit` messages of a topic, oldest first.
function Store:latest(topic, limit)
    local entry, list = self._topics[topic], {}
    if not entry then return list end
    for i = math.max(entry.first, entry.last - limit + 1), entry.last do
        list[#list + 1] = entry[i]
    end
    return list
end

--- The messages of a topic behind the one with that id, oldest first, and whether some may be
-- missing, because they are kept no more.
function Store:since(topic, id)
    local entry, list = self._topics[topic], {}
    if not entry then return list, true end
    local at = entry.last
    while at >= entry.first and entry[at].id > id do at = at - 1 end
    for i = at + 1, entry.last do list[#list + 1] = entry[i] end
    return list, at < entry.first and (entry.cut or entry.last_id > id and #list == 0) or false
end

--- Names of all topics that have messages; those that had one last come first.
function Store:topics()
    local list, entry = {}, self._chain.last
    while entry do
        list[#list + 1] = entry.topic
        entry = entry._before
    end
    return list
end

return Store
