-- What keeps a generation of the sites alive when it is to end: requests, streams,
-- WebSockets. Whoever has such things says how to count and how to end them.
local generation = {}

local holders = {}

--- Registers a kind of thing: count() returns how many there are, and finish(why), if given, has
-- them end: why is "stop" (the server ends) or "reload" (a newer generation has waited long
-- enough).
function generation.hold(name, count, finish)
    holders[name] = { count = count, finish = finish }
end

--- How many things keep this generation alive.
function generation.count()
    local n = 0
    for _, holder in pairs(holders) do n = n + holder.count() end
    return n
end

--- Has all of them end.
function generation.finish(why)
    for _, holder in pairs(holders) do
        if holder.finish then holder.finish(why) end
    end
end

return generation
