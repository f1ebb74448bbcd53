-- Which language a handler speaks: what its user has chosen, or else what the browser asks for.
local locale = require "tornado.locale"
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"

local MAX_LANGUAGES = 100 -- of an Accept-Language field; those behind are not looked at

--- The user's Locale, or nil to go by the browser. May be replaced.
function RequestHandler:get_user_locale() -- luacheck: ignore 212/self
    return nil
end

-- The weight of "fr;q=0.5", 1 without one; 0 for what is no weight.
local function weight(parameter)
    local text = parameter and parameter:match("^%s*q=%s*(.-)%s*$")
    if not text then return 1 end
    local q = text:find("^[%d.eE+-]+$") and tonumber(text)
    return q and q > 0 and q or 0
end

local function heavier(a, b)
    if a.weight ~= b.weight then return a.weight > b.weight end
    return a.place < b.place
end

-- The codes of "da, en;q=0.8", most wanted first.
local function languages(field)
    local list = {}
    for item in (field .. ","):gmatch("([^,]*),") do
        local code, parameter = item:match("^%s*([^;]-)%s*;([^;]*)")
        local q = weight(parameter)
        code = code or item:match("^%s*(.-)%s*$")
        if q > 0 then list[#list + 1] = { code = code, weight = q, place = #list } end
        if #list == MAX_LANGUAGES then break end
    end
    table.sort(list, heavier)
    for i, language in ipairs(list) do list[i] = language.code end
    return list
end

--- The Locale that fits the request's Accept-Language best, or that of `default` ("en_US") when
-- it names none.
function RequestHandler:get_browser_locale(default)
    local field = self.request.headers:get("Accept-Language")
    local codes = field and languages(field)
    if not codes or #codes == 0 then return locale.get(default or "en_US") end
    return locale.get(unpack(codes))
end

--- The handler's Locale: that of get_user_locale(), or else of get_browser_locale(). It is found
-- when first asked for, and kept.
-- Tornado: a property, which may be assigned; here a method, as current_user() is.
function RequestHandler:locale()
    local found = self._locale
    if not found then
        found = self:get_user_locale() or self:get_browser_locale()
        self._locale = found
    end
    return found
end

--- Says which Locale it is, in place of these.
function RequestHandler:set_locale(found)
    if not util.isinstance(found, locale.Locale) then
        error("bad locale: expected a Locale, got " .. util.shown(found), 2)
    end
    self._locale = found
end
