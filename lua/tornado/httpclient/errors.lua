-- What a fetch raises when there is no response, or one that is no success.
local responses = require "tornado.httputil.responses"
local util = require "tornado.util"

local errors = {}

--- Raised for a response that is no success, for a proxy's that opens no tunnel to the server (the
--- code and the response are the proxy's), and with the code 599 when there is none. Fields: code,
--- message, response (or nil), curl_code (libcurl's, of a failure that it reported).
local HTTPClientError = util.Error:extend "HTTPClientError"
errors.HTTPClientError = HTTPClientError

--- Takes a code, a message (nil: the code's reason) and the response, if there is one.
function HTTPClientError:init(code, message, response, curl_code)
    self.code = code
    self.message = message or responses[code] or "Unknown"
    self.response = response
    self.curl_code = curl_code
end

function HTTPClientError:__tostring()
    return ("HTTP %d: %s"):format(self.code, self.message)
end

--- A deadline passed: HTTPTimeoutError(message).
local HTTPTimeoutError = HTTPClientError:extend "HTTPTimeoutError"
errors.HTTPTimeoutError = HTTPTimeoutError

function HTTPTimeoutError:init(message, curl_code)
    HTTPClientError.init(self, 599, message or "Timeout", nil, curl_code)
end

function HTTPTimeoutError:__tostring()
    return self.message
end

--- The connection ended within the exchange, or the response broke a limit or HTTP's rules.
local HTTPStreamClosedError = HTTPClientError:extend "HTTPStreamClosedError"
errors.HTTPStreamClosedError = HTTPStreamClosedError

function HTTPStreamClosedError:init(message, curl_code)
    HTTPClientError.init(self, 599, message or "Stream closed", nil, curl_code)
end

function HTTPStreamClosedError:__tostring()
    return self.message
end

--- For options that are wrong by themselves: raised where fetch() was called.
errors.ValueError = util.Error:extend "ValueError"

return errors
