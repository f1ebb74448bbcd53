-- Who is told what happens to a channel of C.
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"

local channels = {}

local owners = {} -- channel -> object

--- Has owner:on_channel() called, which must not wait, when a call with the channel that gave
--- AGAIN may be repeated, or the peer has ended its side; nil: nobody's.
function channels.set(channel, owner)
    owners[channel] = owner
end

ioloop.on(core.EVENT_CHANNEL, function(channel)
    local owner = owners[channel]
    if owner then owner:on_channel() end
end)

return channels
