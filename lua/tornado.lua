-- The version, under Tornado's names.
local util = require "tornado.util"

--- "X.Y.Z", and the same as a list of four numbers, the last one 0 for a release.
return { version = util.version, version_info = util.version_info }
