-- What OptionParser:mockable() returns: a view of a parser's options whose changes can be undone,
-- for tests. Setting a name to nil undoes the change, as `del` does in Python.
local NIL = {} -- stands for nil among the values kept

local Mockable = { __metatable = false }

local kept = setmetatable({}, { __mode = "k" }) -- view -> { parser, name -> the value before }

function Mockable.__index(self, name)
    return kept[self].parser[name]
end

function Mockable.__newindex(self, name, value)
    local parser, before = kept[self].parser, kept[self].before
    if value == nil then
        if before[name] == nil then error(("%s was not set"):format(tostring(name)), 2) end
        value, before[name] = before[name], nil
        if value == NIL then value = nil end
    else
        if before[name] ~= nil then error("don't reuse mockable objects", 2) end
        local old = parser[name]
        before[name] = old == nil and NIL or old
    end
    parser[name] = value
end

return function(parser)
    local view = {}
    kept[view] = { parser = parser, before = {} }
    return setmetatable(view, Mockable)
end
