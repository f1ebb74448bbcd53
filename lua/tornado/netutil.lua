-- Names of the net. Contents: the resolver, Resolver and its descendants (netutil/resolver.lua).
local resolver = require "tornado.netutil.resolver"

local netutil = {}

for name, value in pairs(resolver) do netutil[name] = value end

return netutil
