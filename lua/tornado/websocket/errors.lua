-- What is raised by WebSockets.
local util = require "tornado.util"

local errors = {}

local WebSocketError = util.Error:extend "WebSocketError"
errors.WebSocketError = WebSocketError

--- Raised by operations on a connection that is closed, or being closed.
errors.WebSocketClosedError = WebSocketError:extend "WebSocketClosedError"

return errors
