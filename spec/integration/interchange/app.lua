-- The site that spec/integration/tornado_interchange.py asks: what it signs there is read here,
-- and the other way round. Values travel in hex, so that they may have any bytes.
local core = require "tornado.core"
local web = require "tornado.web"

local Sign = web.RequestHandler:extend "Sign"

-- /sign?name=&value=&version=: Set-Cookie, as an application would have it sent.
function Sign:get()
    self:set_signed_cookie(self:get_argument("name"), core.unhex(self:get_argument("value")),
        { version = tonumber(self:get_argument("version")) })
end

local Read = web.RequestHandler:extend "Read"

-- /read?name=: what the cookie of that name says, and the version of its key.
function Read:get()
    local name = self:get_argument("name")
    local value = self:get_signed_cookie(name, nil,
        { min_version = tonumber(self:get_argument("min_version", "1")) })
    self:write {
        value = value and core.hex(value),
        key_version = self:get_signed_cookie_key_version(name),
    }
end

-- The same with a table of secrets.
local function with_keys(class, settings)
    local Keys = class:extend()
    function Keys:initialize() self.settings = settings end
    return Keys
end

local Form = web.RequestHandler:extend "Form"

function Form:get()
    self:write(self:xsrf_form_html())
end

function Form:post()
    self:write("ok")
end

local KEYS = { cookie_secret = { [0] = "the first key", [3] = "the new key" }, key_version = 3 }

return web.Application({
    { "/sign", Sign },
    { "/read", Read },
    { "/keys/sign", with_keys(Sign, KEYS) },
    { "/keys/read", with_keys(Read, KEYS) },
    { "/form", Form },
    { "/form1", with_keys(Form, { xsrf_cookies = true, xsrf_cookie_version = 1 }) },
}, { cookie_secret = "It's a secret to everybody", xsrf_cookies = true })
