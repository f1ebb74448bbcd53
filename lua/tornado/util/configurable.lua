-- Configurable: an interface whose constructor makes an object of the class that was chosen for
-- it. util.lua has it as util.Configurable.
local util = require "tornado.util"

local Object = util.Object
local Configurable = Object:extend "Configurable"

-- The last argument when it is a table of options.
local function split(...)
    local arguments = { ... }
    local n = select("#", ...)
    local last = arguments[n]
    if type(last) == "table" and getmetatable(last) == nil then
        return arguments, n - 1, last
    end
    return arguments, n, nil
end

local function construct(class, ...)
    local base = class:configurable_base()
    local impl = class == base and class:configured_class() or class
    local arguments, n, options = split(...)
    local merged = {}
    if class == base then
        for name, value in pairs(rawget(base, "_impl_options") or {}) do
            merged[name] = value
        end
    end
    for name, value in pairs(options or {}) do merged[name] = value end
    if options or next(merged) ~= nil then
        n = n + 1
        arguments[n] = merged
    end
    if impl ~= class and impl:configurable_base() ~= base then
        return impl(unpack(arguments, 1, n)) -- an interface of its own
    end
    local object = setmetatable({}, impl)
    object:initialize(unpack(arguments, 1, n))
    return object
end

--- Makes a subclass, an interface or an implementation.
function Configurable:extend(name)
    local class = Object.extend(self, name or "Configurable")
    getmetatable(class).__call = construct
    return class
end

--- Returns the interface that this class belongs to. Must be replaced in the interface.
function Configurable:configurable_base()
    error(tostring(self.class) .. " must implement configurable_base()", 2)
end

--- Returns the class that is used when none was chosen. Must be replaced in the interface.
function Configurable:configurable_default()
    error(tostring(self.class) .. " must implement configurable_default()", 2)
end

--- Comes instead of init(); gets the constructor's arguments, the last one with the options of
-- configure() in it.
function Configurable:initialize() -- luacheck: ignore 212/self
end

--- Chooses the class that the interface makes objects of: a class, its dotted name, or nil for
-- the default; and options for its constructor. Raises for a class of another interface.
function Configurable:configure(impl, options)
    local base = self:configurable_base()
    if type(impl) == "string" then impl = util.import_object(impl) end
    if impl ~= nil and not (util.isinstance(impl, Object) and impl:is_subclass(self)) then
        error("Invalid subclass of " .. tostring(self), 2)
    end
    base._impl_class, base._impl_options = impl, options
end

--- Returns the class chosen, or the default.
function Configurable:configured_class()
    local base = self:configurable_base()
    local impl = rawget(base, "_impl_class")
    if not impl then
        impl = base:configurable_default()
        base._impl_class = impl
    end
    return impl
end

--- What configure() has chosen, for _restore_configuration(): for tests.
function Configurable:_save_configuration()
    local base = self:configurable_base()
    return { rawget(base, "_impl_class"), rawget(base, "_impl_options") }
end

function Configurable:_restore_configuration(saved)
    local base = self:configurable_base()
    base._impl_class, base._impl_options = saved[1], saved[2]
end

return Configurable
