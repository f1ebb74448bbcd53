-- Sending the client somewhere else.
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"

local BLANKS = { [" "] = "%20", ["\t"] = "%09" }

--- Sends the client to `url`: 302, or 301 with { permanent = true }, or { status = 3xx }; also
-- redirect(url, permanent, status). Blanks in it are percent-encoded.
-- Tornado: sends blanks as they are; browsers drop tabs, so that "/<tab>/host" is another host.
function RequestHandler:redirect(url, options, given)
    if self._headers_written then
        error("Cannot redirect after headers have been written", 2)
    end
    util.expect(url, "string", "url")
    if options == nil or type(options) == "boolean" then
        options = { permanent = options or false, status = given }
    end
    options = util.options(options, { permanent = false, status = util.NONE }, "redirect")
    local status = options.status or options.permanent and 301 or 302
    if type(status) ~= "number" or status < 300 or status > 399 then
        error("bad status: expected 300 to 399, got " .. tostring(status), 2)
    end
    self:set_status(status)
    self:set_header("Location", (url:gsub("[ \t]", BLANKS)))
    self:finish()
end

--- Sends the client to `url` if that is a path of this site, else to `fallback` ("/"): for what a
-- client may choose, such as the argument "next". Options as for redirect().
function RequestHandler:safe_redirect(url, fallback, options)
    local is_path = type(url) == "string" and url:find("^/") and not url:find("^/[/\\]") and
        not url:find("[%c ]")
    self:redirect(is_path and url or fallback or "/", options)
end
