-- Arguments from the path: decoded as the handler says, and passed to the verb.
-- Tornado: named groups become keyword arguments; here, one trailing table.
local unpack = unpack

local path_args = {}

local function decode_at(handler, args, i)
    if args[i] then args[i] = handler:decode_argument(args[i]) end
end

--- Decodes the captures of a route in place with handler:decode_argument().
function path_args.decode(handler, args)
    local n, named = args.n or 0, args.named
    if n > 0 then decode_at(handler, args, 1) end
    if n > 1 then decode_at(handler, args, 2) end
    for i = 3, n do decode_at(handler, args, i) end
    if named then
        for name, value in pairs(named) do
            named[name] = handler:decode_argument(value, name)
        end
        handler.path_kwargs = named
    end
end

--- Calls fn(handler, ...) with the arguments.
function path_args.call(handler, fn, args)
    if args.named then return fn(handler, args.named) end
    local n = args.n
    if n == 1 then return fn(handler, args[1]) end
    if n == 2 then return fn(handler, args[1], args[2]) end
    return fn(handler, unpack(args, 1, n))
end

return path_args
