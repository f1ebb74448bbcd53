-- What streams raise.
local core = require "tornado.core"
local tls = require "tornado.netutil.tls"
local util = require "tornado.util"

local errors = {}

--- What the system said: `errno`, and `code`, its name ("ECONNREFUSED").
-- Tornado: OSError and its subclasses.
local SocketError = util.Error:extend "SocketError"
errors.SocketError = SocketError

--- Takes errno, and what it was about, if anything.
function SocketError:init(errno, what)
    local code, text = core.errno_name(errno)
    self.errno, self.code = errno, code
    self.message = ("[Errno %d] %s%s"):format(errno, text, what and ": " .. what or "")
end

-- What TLS failures have for errno; ECONNABORTED: the peer left during the handshake.
local TLS_CODES = { EPROTO = true, ECONNABORTED = true }

--- What broke a channel: a SocketError; netutil.SSLError, with errno and code, too; nil: nothing.
function errors.of_channel(channel)
    local errno = core.channel_errno(channel)
    if errno == 0 then return nil end
    local err = SocketError(errno)
    local why = TLS_CODES[err.code] and core.channel_tls_why(channel) or ""
    if why == "" then return err end
    local failure = tls.SSLError("%s", why)
    failure.errno, failure.code = err.errno, err.code
    return failure
end

--- Raised by calls with a stream that is closed, or was while they waited; `real_error` is why, if
--- it was not in order: a SocketError, an UnsatisfiableReadError, what close() was given.
local StreamClosedError = util.Error:extend "StreamClosedError"
errors.StreamClosedError = StreamClosedError

function StreamClosedError:init(real_error)
    self.real_error = real_error
    self.message = "Stream is closed"
    if real_error ~= nil then
        self.message = self.message .. " (" .. tostring(real_error) .. ")"
    end
end

--- What was to be read does not come within max_bytes.
errors.UnsatisfiableReadError = util.Error:extend "UnsatisfiableReadError"

--- A buffer has reached its limit.
errors.StreamBufferFullError = util.Error:extend "StreamBufferFullError"

return errors
