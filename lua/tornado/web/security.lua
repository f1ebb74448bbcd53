-- What a handler knows of who asks: signed cookies, the user, and the token that shows that a
-- form is ours (XSRF).
--
-- Tornado: current_user and xsrf_token are properties; here they are methods, as fields that are
-- made when first read would cost every method call of every handler. set_current_user() takes
-- the place of the assignment.
local core = require "tornado.core"
local cookies = require "tornado.httputil.cookies"
local errors = require "tornado.web.errors"
local escape = require "tornado.escape"
local log = require "tornado.log"
local RequestHandler = require "tornado.web.handler"
local signing = require "tornado.web.signing"
local util = require "tornado.util"

local find, format, match = string.find, string.format, string.match
local HTTPError = errors.HTTPError

local security = {}

local function copy(options)
    local result = {}
    for name, value in pairs(options or {}) do result[name] = value end
    return result
end

--- Raises unless the application has that setting; `feature` is what needs it.
function RequestHandler:require_setting(name, feature, level)
    local value = self.settings[name]
    if value == nil or value == false or value == "" then
        error(('You must define the "%s" setting in your application to use %s'):format(name,
            feature or "this feature"), 2 + (level or 0))
    end
end

-- Signed cookies -----------------------------------------------------------------------

--- Signs a value with the setting cookie_secret (a table of secrets needs key_version, too).
function RequestHandler:create_signed_value(name, value, version, level)
    self:require_setting("cookie_secret", "secure cookies", 1 + (level or 0))
    local secret, key_version = self.settings.cookie_secret, nil
    if type(secret) == "table" then
        key_version = self.settings.key_version
        if key_version == nil then
            error("key_version setting must be used for secret_key dicts", 2)
        end
    end
    return signing.create_signed_value(secret, name, value,
        { version = version, key_version = key_version })
end

-- What a cookie that says who somebody is should have; false takes one away.
local function secure_defaults(self, options)
    if options.samesite == nil then options.samesite = "Lax" end
    if options.secure == nil then options.secure = self.request.protocol == "https" end
end

--- Sets a cookie that the client can read and cannot change. Options: those of set_cookie(), with
-- expires_days=30 (false: until the browser is closed), httponly=true, samesite="Lax",
-- secure=true for requests over https, and version.
-- Tornado: without httponly, samesite and secure.
function RequestHandler:set_signed_cookie(name, value, options)
    if options ~= nil then util.expect(options, "table", "options") end
    options = copy(options)
    local version = options.version
    options.version = nil
    if options.expires_days == nil then
        options.expires_days = 30
    elseif options.expires_days == false then
        options.expires_days = nil
    end
    if options.httponly == nil then options.httponly = true end
    secure_defaults(self, options)
    self:set_cookie(name, self:create_signed_value(name, value, version, 1), options, 1)
end

local GET_SIGNED = { max_age_days = 31, min_version = 1 }

--- The value of a signed cookie of the request (or of `value`), or nil when there is none, or
-- none that is genuine and young enough. Options: max_age_days=31, min_version=1.
function RequestHandler:get_signed_cookie(name, value, options)
    options = util.options(options, GET_SIGNED, "get_signed_cookie")
    self:require_setting("cookie_secret", "secure cookies", 1)
    if value == nil then value = self:get_cookie(name) end
    return signing.decode_signed_value(self.settings.cookie_secret, name, value, options)
end

--- The version of the key that the cookie says it was signed with, or nil.
function RequestHandler:get_signed_cookie_key_version(name, value)
    self:require_setting("cookie_secret", "secure cookies", 1)
    if value == nil then value = self:get_cookie(name) end
    if value == nil then return nil end
    return signing.get_signature_key_version(value)
end

RequestHandler.set_secure_cookie = RequestHandler.set_signed_cookie
RequestHandler.get_secure_cookie = RequestHandler.get_signed_cookie
RequestHandler.get_secure_cookie_key_version = RequestHandler.get_signed_cookie_key_version

-- What browsers demand of names with these prefixes, of the deletion as well.
local function with_prefix(name, options)
    name = name:lower()
    local host = find(name, "__host-", 1, true) == 1
    if not host and find(name, "__secure-", 1, true) ~= 1 then return options end
    options = copy(options)
    options.secure = true
    if host then options.path, options.domain = nil, nil end
    return options
end

--- Deletes each cookie of the request in the client; options as for clear_cookie().
-- Tornado: a cookie called "path" or the like is an error.
function RequestHandler:clear_all_cookies(options)
    for name in pairs(self.request.cookies) do
        if cookies.is_name(name) then self:clear_cookie(name, with_prefix(name, options)) end
    end
end

-- The user -----------------------------------------------------------------------------

--- Says who asks: anything, or nil for nobody. To be replaced; called once a request.
function RequestHandler:get_current_user()
    return nil
end

--- Who asks, by get_current_user() or set_current_user().
function RequestHandler:current_user()
    local user = self._current_user
    if user == nil then
        user = self:get_current_user()
        if user == nil then user = false end
        self._current_user = user
    end
    return user or nil
end

--- Says who asks, in place of get_current_user(): for a prepare() that has to wait to find out.
function RequestHandler:set_current_user(user)
    if user == nil then user = false end
    self._current_user = user
end

--- Where web.authenticated sends those who are nobody: the setting login_url. May be replaced.
function RequestHandler:get_login_url()
    self:require_setting("login_url", "@tornado.web.authenticated")
    return self.settings.login_url
end

-- Python's idea of nothing: a row that was not found, an empty name, JSON's null.
local function is_nobody(user)
    if not user or user == "" or user == 0 or user == escape.null then return true end
    return type(user) == "table" and next(user) == nil and getmetatable(user) == nil
end

local function send_to_login(self)
    local url = self:get_login_url()
    if not find(url, "?", 1, true) then
        local request = self.request
        local next_url = request.uri
        if find(url, "^%a[%w+.-]*:") then next_url = request:full_url() end
        url = url .. "?next=" .. core.url_encode(next_url, true)
    end
    self:redirect(url)
end

--- Wraps a verb so that it needs a user: without one, GET and HEAD go to the login page, others
-- get 403. Returns the function to assign: `function H.get(self) end` with
-- `H.get = web.authenticated(H.get)`.
function security.authenticated(fn)
    if not util.is_callable(fn) then
        error("bad method: expected function, got " .. type(fn), 2)
    end
    return function(self, ...)
        if not is_nobody(self:current_user()) then return fn(self, ...) end
        local method = self.request.method
        if method ~= "GET" and method ~= "HEAD" then error(HTTPError(403), 0) end
        send_to_login(self)
    end
end

-- XSRF ---------------------------------------------------------------------------------
--
-- The cookie and the form have the same random token, which another site can neither read nor
-- set. It is written with a fresh mask each time, so that the length of a compressed page tells
-- nothing about it (BREACH):  2|hex(mask)|hex(token xor mask)|time

local MASK_SIZE, TOKEN_SIZE = 4, 16

local mask = util._websocket_mask

local function decode_v2(text)
    local key, masked, time = match(text, "^2|(%x+)|(%x+)|(%d+)$")
    if not key or #key ~= 2 * MASK_SIZE or #time > 15 then return nil end
    masked = core.unhex(masked)
    return masked and mask(core.unhex(key), masked), tonumber(time)
end

-- The token in a cookie or an argument, and its time; nil when it has none. What is no v2 is the
-- token itself, in hex or as it is.
local function decode(text)
    if find(text, "^[1-9]%d*|") then return decode_v2(text) end
    local token = core.unhex(text) or text
    return token ~= "" and token or nil, math.floor(core.now())
end

local function cookie_name(self)
    return self.settings.xsrf_cookie_name or "_xsrf"
end

-- The request's token, or else a new one: { token =, time =, is_new = }.
local function raw_token(self)
    local raw = self._raw_xsrf_token
    if raw then return raw end
    local cookie = self:get_cookie(cookie_name(self))
    local token, time
    if cookie then token, time = decode(cookie) end
    raw = { token = token, time = time, is_new = token == nil }
    if raw.is_new then raw.token, raw.time = core.random(TOKEN_SIZE), math.floor(core.now()) end
    self._raw_xsrf_token = raw
    return raw
end

local function encode(version, raw)
    if version == 1 then return core.hex(raw.token) end
    local key = core.random(MASK_SIZE)
    return format("2|%s|%s|%d", core.hex(key), core.hex(mask(key, raw.token)), raw.time)
end

-- Not httponly, as scripts may read it to send it in a header: the setting xsrf_cookie_kwargs
-- can say so, and has the last word on all of these.
-- Tornado: has neither samesite nor secure; adds expires_days to the application's own table.
local function set_token_cookie(self, text)
    local options = copy(self.settings.xsrf_cookie_kwargs)
    secure_defaults(self, options)
    if options.expires_days == nil and not is_nobody(self:current_user()) then
        options.expires_days = 30
    end
    self:set_cookie(cookie_name(self), text, options)
end

--- The token for forms and for X-XSRFToken, the same one for this whole request. Sets the cookie
-- when the client has none yet.
function RequestHandler:xsrf_token()
    local text = self._xsrf_token
    if text then return text end
    local version = self.settings.xsrf_cookie_version or 2
    if version ~= 1 and version ~= 2 then
        error("unknown xsrf cookie version " .. tostring(version), 2)
    end
    local raw = raw_token(self)
    text = encode(version, raw)
    if raw.is_new then set_token_cookie(self, text) end
    self._xsrf_token = text
    return text
end

--- A hidden field with the token, to be written into each form that posts.
function RequestHandler:xsrf_form_html()
    return '<input type="hidden" name="_xsrf" value="' .. escape.xhtml_escape(self:xsrf_token()) ..
        '"/>'
end

local function sent_token(self)
    local text = self:get_argument("_xsrf", nil)
    if text and text ~= "" then return text end
    local headers = self.request.headers
    text = headers:get("X-Xsrftoken")
    if text and text ~= "" then return text end
    return headers:get("X-Csrftoken")
end

--- Raises 403 unless the request shows that it comes from a page of ours: by the token, and not
-- from another site where the browser says so (Sec-Fetch-Site, which scripts cannot set). Called
-- before prepare() with the setting xsrf_cookies, for all methods but GET, HEAD and OPTIONS. May
-- be replaced.
-- Tornado: looks at the token alone.
function RequestHandler:check_xsrf_cookie()
    if self.request.headers:get("Sec-Fetch-Site") == "cross-site" then
        error(HTTPError(403, "the request comes from another site"), 0)
    end
    local text = sent_token(self)
    if not text or text == "" then
        error(HTTPError(403, "'_xsrf' argument missing from POST"), 0)
    end
    local token = decode(text)
    if not token then
        log.gen_log:debug("'_xsrf' argument cannot be read")
        error(HTTPError(403, "'_xsrf' argument has invalid format"), 0)
    end
    if not core.same(token, raw_token(self).token) then
        error(HTTPError(403, "XSRF cookie does not match POST argument"), 0)
    end
end

return security
