-- What handlers raise to end a request: outcomes, not faults.
local httputil = require "tornado.httputil"
local util = require "tornado.util"

local errors = {}

local HTTPError = util.Error:extend "HTTPError"
errors.HTTPError = HTTPError
HTTPError.expected = true -- needs no traceback
HTTPError.headers = {} -- that the reply gets, name -> value

--- Takes a status (default 500) and a message for the log, a format when arguments follow. A
-- last argument { reason = "..." } replaces the standard reason.
function HTTPError:init(status, message, ...)
    status = status or 500
    if type(status) ~= "number" then
        error("bad status: expected number, got " .. type(status), 3)
    end
    if not (status >= 100 and status <= 999 and status % 1 == 0) then
        error("bad status: expected an integer from 100 to 999, got " .. status, 3)
    end
    self.status_code = status
    local count = select("#", ...)
    local last = count > 0 and select(count, ...)
    if type(message) == "table" then
        last, message = message, nil
    elseif type(last) == "table" then
        count = count - 1
    end
    if type(last) == "table" then self.reason = last.reason end
    if message and count > 0 then message = message:format(...) end
    self.log_message = message
end

--- The message for the log with its arguments filled in, or nil.
function HTTPError:get_message()
    return self.log_message
end

function HTTPError:__tostring()
    local text = ("HTTP %d: %s"):format(self.status_code,
        self.reason or httputil.responses[self.status_code] or "Unknown")
    if self.log_message then text = text .. " (" .. self.log_message .. ")" end
    return text
end

local MissingArgumentError = HTTPError:extend "MissingArgumentError"
errors.MissingArgumentError = MissingArgumentError

--- Raised by get_argument(): 400, with the argument's name in `arg_name`.
function MissingArgumentError:init(name)
    HTTPError.init(self, 400, "Missing argument " .. name)
    self.arg_name = name
end

local InputError = HTTPError:extend "InputError"
errors.InputError = InputError

-- The places of faults for the log, not the values: a password may be among them.
local function places(faults)
    local out = {}
    for i = 1, math.min(#faults, 10) do out[i] = faults[i].path end
    return ": " .. table.concat(out, ", "):sub(1, 200)
end

--- Raised for input that does not fit: a status, a message for the client, and perhaps a list of
-- faults { path = , message = }.
function InputError:init(status, message, faults)
    HTTPError.init(self, status)
    self.log_message = message .. (faults and places(faults) or "")
    self.message = message
    self.faults = faults
end

local Finish = util.Error:extend "Finish"
errors.Finish = Finish
Finish.expected = true

--- Ends the request silently; takes what finish() takes.
function Finish:init(chunk)
    self.message = ""
    self.chunk = chunk
end

return errors
