-- One message: what all subscribers of a topic get, each the same object. Its forms (JSON, an
-- event's bytes, a frame of WebSockets) are made once, by who needs one first.
local escape = require "tornado.escape"
local util = require "tornado.util"

local format = string.format

local Message = util.Object:extend "Message"

Message.number = false
Message._text = false
Message._forms = false

--- Fields: topic, id (a number, greater than those before), data (as published), origin and
-- serial (of a cluster's: who published it, and which of theirs it is), number (in the journal of
-- the worker whose topic it is).
function Message:init(topic, id, data, origin, serial)
    self.topic, self.id, self.data = topic, id, data
    self.origin, self.serial = origin or false, serial or false
end

--- The id as text: for Last-Event-ID, and for `since`.
function Message:key()
    return format("%d", self.id)
end

--- The data if it is a string, else as JSON.
function Message:text()
    local text = self._text
    if text then return text end
    local data = self.data
    text = type(data) == "string" and data or escape.json_encode(data)
    self._text = text
    return text
end

--- What make(message, name) returned when this was first called with that name.
function Message:form(name, make)
    local forms = self._forms
    if not forms then
        forms = {}
        self._forms = forms
    end
    local form = forms[name]
    if form == nil then
        form = make(self, name)
        forms[name] = form
    end
    return form
end

return Message
