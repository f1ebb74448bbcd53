-- Arguments from the path: decoded as the handler says, and passed to the verb.
-- Tornado: named groups become keyword arguments; here, one trailing table.
local unpack = unpack

local path_args = {}

-- Of a route without groups, and of one with named groups: shared, so nobody may write to it.
local NONE = setmetatable({}, {
    __newindex = function() error("path_args is empty here, and read-only", 2) end,
})
path_args.NONE = NONE

local function decode_at(handler, args, i)
    local value = args[i]
    if not value then return false end
    args[i] = handler:decode_argument(value)
    return true
end

--- Decodes the captures of a route in place with handler:decode_argument(), and sets the handler's
-- path_args (a list; with `n` when a group took no part and is nil) and path_kwargs (a map).
function path_args.decode(handler, args)
    local n, named = args.n or 0, args.named
    local whole = n == 0 or decode_at(handler, args, 1)
    if n > 1 then whole = decode_at(handler, args, 2) and whole end
    for i = 3, n do whole = decode_at(handler, args, i) and whole end
    if whole then args.n = nil end
    if named then
        for name, value in pairs(named) do
            named[name] = handler:decode_argument(value, name)
        end
        handler.path_args, handler.path_kwargs = NONE, named
    end
end

--- Calls fn(handler, ...) with the arguments.
function path_args.call(handler, fn, args)
    if args.named then return fn(handler, args.named) end
    local n = args.n or #args
    if n == 1 then return fn(handler, args[1]) end
    if n == 2 then return fn(handler, args[1], args[2]) end
    return fn(handler, unpack(args, 1, n))
end

return path_args
