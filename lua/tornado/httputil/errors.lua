-- The error classes of HTTP messages: what came in is wrong, what goes out is wrong, or there
-- is no room for it.

local util = require "tornado.util"

local errors = {}

--- Raised for malformed requests or responses from the network; a server answers 400.
errors.HTTPInputError = util.Error:extend "HTTPInputError"

--- Raised when an application breaks its own message, as by a wrong Content-Length.
errors.HTTPOutputError = util.Error:extend "HTTPOutputError"

--- Raised when a body cannot be written to its file; a server answers 507.
errors.StorageError = util.Error:extend "StorageError"

return errors
