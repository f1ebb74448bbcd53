-- Fields that all replies of an application have. The setting security_headers tells browsers to be
-- careful with a reply: true gives the defaults below; a table changes some of them, false takes
-- one away. With request_id_header, true or a field's name (X-Request-Id), clients get the id that
-- the logs have. Made once for an application; without a setting `application._headers_policy` is
-- false and nothing runs.
local core = require "tornado.core"
local util = require "tornado.util"
local RequestHandler = require "tornado.web.handler"

local format, gsub, type = string.format, string.gsub, type
local SET = core.FIELD_SET
local field = core.field

local headers_policy = {}

local CSP = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; " ..
    "object-src 'none'"

-- option -> { field, default }
local FIELDS = {
    nosniff = { "X-Content-Type-Options", "nosniff" },
    frame_options = { "X-Frame-Options", "SAMEORIGIN" },
    referrer_policy = { "Referrer-Policy", "strict-origin-when-cross-origin" },
    csp = { "Content-Security-Policy", CSP },
    hsts = { "Strict-Transport-Security", "max-age=31536000" },
}
local ORDER = { "nosniff", "frame_options", "referrer_policy" }

local KNOWN = { "nosniff", "frame_options", "referrer_policy", "csp", "hsts" }

-- The field's value for an option, or nil for none.
local function value_of(name, given)
    if given == false then return nil end
    if given == nil or given == true then return FIELDS[name][2] end
    if name == "hsts" and type(given) == "number" then return format("max-age=%d", given) end
    if type(given) ~= "string" or given == "" or not core.is_field_value(given) then
        util.app_error(("bad security_headers.%s: expected a field's value, or a boolean, "
            .. "got %s"):format(name, type(given)))
    end
    return given
end

local function check_names(given)
    for name in pairs(given) do
        if not FIELDS[name] then
            util.app_error(('security_headers: unknown option "%s" (known: %s)'):format(
                tostring(name), table.concat(KNOWN, ", ")))
        end
    end
end

-- The policy with "\0" where a nonce belongs: in script-src and style-src, which are made from
-- default-src where they are missing.
local function with_nonce(csp)
    local directives, at = {}, {}
    for directive in csp:gmatch("[^;]+") do
        local name, value = directive:match("^%s*([%w-]+)%s*(.-)%s*$")
        if name then
            directives[#directives + 1] = { name:lower(), value }
            at[name:lower()] = directives[#directives]
        end
    end
    for _, name in ipairs { "script-src", "style-src" } do
        local own = at[name]
        if not own then
            own = { name, at["default-src"] and at["default-src"][2] or "'self'" }
            directives[#directives + 1] = own
        end
        own[2] = (own[2] == "'none'" and "" or own[2] .. " ") .. "'nonce-\0'"
    end
    local out = {}
    for i, directive in ipairs(directives) do
        out[i] = directive[1] .. (directive[2] ~= "" and " " .. directive[2] or "")
    end
    return table.concat(out, "; ")
end

local Policy = {}
Policy.__index = Policy

local function add_security(policy, setting)
    if setting == true then setting = {} end
    if type(setting) ~= "table" then
        util.app_error("bad security_headers: expected true or a table, got " ..
            type(setting))
    end
    check_names(setting)
    for _, name in ipairs(ORDER) do
        local value = value_of(name, setting[name])
        if value then
            policy.fields[#policy.fields + 1] = FIELDS[name][1]
            policy.fields[#policy.fields + 1] = value
        end
    end
    policy.csp = value_of("csp", setting.csp)
    policy.hsts = value_of("hsts", setting.hsts)
    policy.template = policy.csp and with_nonce(policy.csp)
end

--- Takes an application's settings; returns a policy, or false for none.
function headers_policy.new(settings)
    local security, id_header = settings.security_headers, settings.request_id_header
    if not security and not id_header then return false end
    local policy = setmetatable({ fields = {} }, Policy)
    if id_header == true then id_header = "X-Request-Id" end
    if id_header and (type(id_header) ~= "string" or not core.is_token(id_header)) then
        util.app_error("bad request_id_header: expected true or a field's name, got " ..
            type(id_header))
    end
    policy.id_header = id_header
    if security then add_security(policy, security) end
    return policy
end

--- Sets the fields, before the application sets its own.
function Policy:apply(handler)
    local handle, fields = handler.request.handle, self.fields
    for i = 1, #fields, 2 do field(handle, SET, fields[i], fields[i + 1]) end
    local id_header, csp = self.id_header, self.csp
    if id_header then field(handle, SET, id_header, handler.request.id) end
    if csp then field(handle, SET, "Content-Security-Policy", csp) end
    if self.hsts and handler.request.protocol == "https" then
        field(handle, SET, "Strict-Transport-Security", self.hsts)
    end
end

local function hex(char)
    return format("%02x", char:byte())
end

--- Returns the reply's nonce, for <script nonce="..."> and <style nonce="...">, and names it in
-- the Content-Security-Policy of the setting security_headers, unless the handler has set its
-- own. Must be called before the head is out.
function RequestHandler:csp_nonce()
    local nonce = self._csp_nonce
    if not nonce then
        nonce = gsub(core.random(16), ".", hex)
        self._csp_nonce = nonce
    end
    local policy = self.application._headers_policy
    local handle = self.request.handle
    if policy and policy.csp and
        core.field_get(handle, "Content-Security-Policy") == policy.csp then
        if self._headers_written then
            error("csp_nonce() must be called before the headers have been written", 2)
        end
        field(handle, SET, "Content-Security-Policy", (gsub(policy.template, "%z", nonce)))
    end
    return nonce
end

return headers_policy
