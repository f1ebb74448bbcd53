-- Arguments from the path: decoded as the handler says, and passed to the verb.
-- Tornado: named groups become keyword arguments; here, one trailing table.
local unpack = unpack

local path_args = {}

--- Decodes the captures of a route with handler:decode_argument(); returns new args.
function path_args.decode(handler, args)
    local out = { n = args.n }
    for i = 1, args.n or 0 do
        if args[i] then out[i] = handler:decode_argument(args[i]) end
    end
    if args.named then
        out.named = {}
        for name, value in pairs(args.named) do
            out.named[name] = handler:decode_argument(value, name)
        end
    end
    handler.path_args, handler.path_kwargs = out, out.named
    return out
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
