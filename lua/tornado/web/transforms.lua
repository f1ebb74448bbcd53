-- Output transforms: what stands between what a handler writes and what is sent. The setting
-- `transforms` is a list of classes with OutputTransform's methods; one object of each is made
-- for a reply when its first bytes go out.
local core = require "tornado.core"
local util = require "tornado.util"

local transforms = {}

--- The base of transforms, which changes nothing. init(request, handler) makes one.
local OutputTransform = util.Object:extend "OutputTransform"
transforms.OutputTransform = OutputTransform

--- Gets status, headers (get, set, add, remove, get_list), and the first piece of the body;
--- `finishing`: it is the only one. Returns status, headers, piece.
-- luacheck: push ignore 212
function OutputTransform:transform_first_chunk(status, headers, chunk, finishing)
    return status, headers, chunk
end

--- Gets a further piece of the body; `finishing`: the last one. Returns it.
function OutputTransform:transform_chunk(chunk, finishing)
    return chunk
end
-- luacheck: pop

-- A reply's headers, as transforms see them: those of the handler.
local Headers = {}
Headers.__index = Headers

function Headers:get(name) return self.handler:get_header(name) end
function Headers:set(name, value) self.handler:set_header(name, value) end
function Headers:add(name, value) self.handler:add_header(name, value) end
function Headers:remove(name) self.handler:clear_header(name) end

--- All values of a header, in order.
function Headers:get_list(name)
    local list = {}
    repeat
        local value = core.field_nth(self.handler.request.handle, name, #list)
        list[#list + 1] = value
    until not value
    return list
end

--- Takes a handler, the classes, the first piece and whether it is the only one; makes the
--- handler's transforms and returns what they make of the piece.
function transforms.first(handler, classes, chunk, finishing)
    local headers = setmetatable({ handler = handler }, Headers)
    local made = {}
    for i, class in ipairs(classes) do made[i] = class(handler.request, handler) end
    handler._transforms = made
    local status = handler._status_code
    for _, transform in ipairs(made) do
        local changed
        changed, headers, chunk = transform:transform_first_chunk(status, headers, chunk, finishing)
        if changed ~= status then
            handler:set_status(changed)
            status = changed
        end
    end
    return chunk
end

--- What the handler's transforms make of a further piece.
function transforms.next(handler, chunk, finishing)
    for _, transform in ipairs(handler._transforms or {}) do
        chunk = transform:transform_chunk(chunk, finishing)
    end
    return chunk
end

local function check(list)
    for _, class in ipairs(list) do
        if type(class) ~= "table" or type(class.transform_first_chunk) ~= "function" or
            type(class.transform_chunk) ~= "function" then
            error("bad transforms: expected a list of OutputTransform classes", 4)
        end
    end
    return list
end

--- Returns a list (or false) of transforms with one more behind.
function transforms.add(list, class)
    local longer = {}
    for i, known in ipairs(list or {}) do longer[i] = known end
    longer[#longer + 1] = class
    return check(longer)
end

--- The transforms of an application with these settings, or false for none.
function transforms.of(settings)
    if settings.transforms ~= nil then
        if type(settings.transforms) ~= "table" then
            error("bad transforms: expected a list of OutputTransform classes", 3)
        end
        return settings.transforms[1] ~= nil and check(settings.transforms)
    end
    if not (settings.compress_response or settings.gzip) then return false end
    return { require "tornado.web.compress" }
end

return transforms
