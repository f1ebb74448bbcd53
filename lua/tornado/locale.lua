-- Translations, and dates, lists and numbers as a language writes them. Translations come from
-- CSV files (load_translations) or from gettext's catalogues (load_gettext_translations), once,
-- when the process starts; a Locale then looks them up.
local core = require "tornado.core"
local csv = require "tornado.locale.csv"
local dates = require "tornado.locale.dates"
local gen_log = require("tornado.log").gen_log
local mo = require "tornado.locale.mo"
local note_tree = require("tornado.autoreload.files").note_tree
local util = require "tornado.util"

local concat, floor = table.concat, math.floor

local locale = {}

locale.LOCALE_NAMES = require "tornado.locale.names"

local default_locale = "en_US"
local translations = {} -- code -> { make = class, ... }
local supported = { en_US = true }
local made = {} -- code -> Locale

-- A Locale has its translations for good, so those made before are forgotten.
-- Tornado: keeps them, and goes on with the old translations.
local function use(found)
    translations, made = found, {}
    supported = { [default_locale] = true }
    for code in pairs(found) do supported[code] = true end
    gen_log:debug("Supported locales: %s", concat(locale.get_supported_locales(), ", "))
end

-- Locale -------------------------------------------------------------------------------

local Locale = util.Object:extend "Locale"
locale.Locale = Locale

local RTL = { fa = true, ar = true, he = true }

local MONTHS = {
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
}
local WEEKDAYS = {
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
}

local function all_translated(self, list)
    local out = {}
    for i = 1, #list do out[i] = self:translate(list[i]) end
    return out
end

--- Made by get(). Has code, name ("Français", or "Unknown") and rtl (written right to left).
function Locale:init(code)
    local names = locale.LOCALE_NAMES[code]
    self.code = code
    self.name = names and names.name or "Unknown"
    self.rtl = RTL[code:sub(1, 2)] or false
    self._months = all_translated(self, MONTHS)
    self._weekdays = all_translated(self, WEEKDAYS)
end

local function check_count(plural, count, level)
    if plural ~= nil and type(count) ~= "number" then
        error("bad count: expected number, got " .. type(count), level + 1)
    end
end

--- The translation of a message. With `plural`, a form for `count`: without a translation that
-- is the message for 1, and `plural` otherwise.
function Locale:translate(message, plural, count)
    check_count(plural, count, 2)
    if plural ~= nil and count ~= 1 then return plural end
    return message
end

--- The same for a message whose meaning depends on a context: pgettext("law", "right").
function Locale:pgettext(_, message, plural, count)
    check_count(plural, count, 2)
    return self:translate(message, plural, count)
end

--- A date (seconds since 1970, or a UTC table) in words, "2 minutes ago", "April 28, 2013 at
-- 6:35 pm". Options: gmt_offset=0 (minutes, subtracted), relative=true, shorter=false (without
-- the time), full_format=false. A date in the future is written in full.
function Locale:format_date(date, options)
    local text = dates.format_date(self, date, options, core.now())
    return text
end

--- "Monday, January 22". Options: gmt_offset=0, dow=true (with the day of the week).
function Locale:format_day(date, options)
    local text = dates.format_day(self, date, options)
    return text
end

--- "A, B and C" of a list of strings.
function Locale:list(parts)
    util.expect(parts, "table", "parts")
    local n = #parts
    if n == 0 then return "" end
    if n == 1 then return parts[1] end
    local comma = self.code:sub(1, 2) == "fa" and " و " or ", "
    return util.interpolate(self:translate("%(commas)s and %(last)s"), {
        commas = concat(parts, comma, 1, n - 1), last = parts[n],
    })
end

--- An integer with commas between thousands, for English; without, for others.
-- Tornado: has a comma behind the sign of -123456.
function Locale:friendly_number(value)
    if type(value) ~= "number" or value ~= floor(value) then
        error("bad value: expected integer, got " .. util.shown(value), 2)
    end
    local sign, digits = ("%.0f"):format(value):match("^(%-?)(%d+)$")
    if not digits then error("bad value: expected integer, got " .. tostring(value), 2) end
    if self.code ~= "en" and self.code ~= "en_US" then return sign .. digits end
    digits = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
    return sign .. digits
end

-- Locales of CSV files --------------------------------------------------------------

local CSVLocale = Locale:extend "CSVLocale"
locale.CSVLocale = CSVLocale

local NO_CSV = { plural = {}, singular = {}, unknown = {}, empty = true }

function CSVLocale:init(code, forms)
    self.translations = forms or NO_CSV
    Locale.init(self, code)
end

function CSVLocale:translate(message, plural, count)
    check_count(plural, count, 2)
    local forms = self.translations
    if plural == nil then return forms.unknown[message] or message end
    if count == 1 then return forms.singular[message] or message end
    return forms.plural[plural] or plural
end

--- CSV files have no contexts: the message alone counts.
function CSVLocale:pgettext(_, message, plural, count)
    check_count(plural, count, 2)
    if not self.translations.empty then
        gen_log:warning("pgettext is not supported by CSVLocale")
    end
    return self:translate(message, plural, count)
end

local INDICATORS = { plural = true, singular = true, unknown = true }

local function strip(text)
    return text:match("^%s*(.-)%s*$")
end

local function forms_of(rows, file)
    local forms = { plural = {}, singular = {}, unknown = {}, empty = true }
    for i, row in ipairs(rows) do
        local indicator = strip(row[3] or "")
        if indicator == "" then indicator = "unknown" end
        if #row >= 2 and not INDICATORS[indicator] then
            gen_log:error("Unrecognized plural indicator '%s' in %s line %d", indicator, file, i)
        elseif #row >= 2 then
            forms[indicator][strip(row[1])] = strip(row[2])
            forms.empty = false
        end
    end
    return forms
end

local function read_file(path)
    local file, why = io.open(path, "rb")
    if not file then return nil, why end
    local text
    text, why = file:read("*a")
    file:close()
    if not text then return nil, path .. ": " .. why end
    return text
end

local function load_csv(directory, name, encoding)
    local path = directory .. "/" .. name
    local text, why = read_file(path)
    if not text then error(why, 0) end
    text, why = csv.decode(text, encoding)
    if not text then error(path .. ": " .. why, 0) end
    return { make = CSVLocale, data = forms_of(csv.rows(text), name) }
end

--- Loads LOCALE.csv (es_GT.csv) of a folder, in place of all translations there were. A row is
-- "text","translation" and perhaps "plural" or "singular". Files are UTF-8, or, by their
-- byte-order mark or `encoding`, UTF-16. Raises why not.
-- Tornado: the encoding found for one file is used for those after it, too.
function locale.load_translations(directory, encoding)
    if encoding ~= nil and not csv.ENCODINGS[encoding] then
        error("bad encoding: expected utf-8, utf-16, utf-16-le or utf-16-be, got " ..
            tostring(encoding), 2)
    end
    util.expect(directory, "string", "directory")
    local files, why = core.folder(directory)
    if not files then error(why, 2) end
    note_tree(directory, "code", "%.csv$")
    local found = {}
    for _, name in ipairs(files) do
        local code = name:match("^(.*)%.csv$")
        if code and not code:find("^%l+$") and not code:find("^%l+_%u+$") then
            gen_log:error("Unrecognized locale '%s' (path: %s/%s)", code, directory, name)
        elseif code then
            found[code] = load_csv(directory, name, encoding)
        end
    end
    use(found)
end

-- Locales of gettext's catalogues ------------------------------------------------------

local GettextLocale = Locale:extend "GettextLocale"
locale.GettextLocale = GettextLocale

function GettextLocale:init(code, catalogue)
    self.catalogue = catalogue
    Locale.init(self, code)
end

-- The form for `count` (nil: the only one); nil for a message that has none.
local function look_up(catalogue, message, count)
    while catalogue do
        local forms = catalogue.messages[message]
        local form = forms and forms[count and catalogue.plural(count) + 1 or 1]
        if form and form ~= "" then return form end
        catalogue = catalogue.fallback
    end
end

function GettextLocale:translate(message, plural, count)
    check_count(plural, count, 2)
    if plural == nil then return look_up(self.catalogue, message) or message end
    return look_up(self.catalogue, message, count) or count == 1 and message or plural
end

function GettextLocale:pgettext(context, message, plural, count)
    util.expect(context, "string", "context")
    util.expect(message, "string", "message")
    check_count(plural, count, 2)
    local found = look_up(self.catalogue, context .. "\4" .. message, plural ~= nil and count
        or nil)
    if found then return found end
    if plural == nil then return message end
    return self:translate(message, plural, count)
end

-- "fr_CA" takes from "fr" what it has not itself.
local function set_fallbacks(found)
    for code, entry in pairs(found) do
        local language = code:match("^(%l+)_")
        entry.data.fallback = language and found[language] and found[language].data
    end
end

--- Loads {directory}/{LOCALE}/LC_MESSAGES/{domain}.mo, in place of all translations there were.
-- A file that cannot be read is logged. Raises when the folder cannot be read.
-- Tornado: a folder that is not there has no locales.
function locale.load_gettext_translations(directory, domain)
    util.expect(directory, "string", "directory")
    util.expect(domain, "string", "domain")
    local codes, why = core.folder(directory)
    if not codes then error(why, 2) end
    note_tree(directory, "code", "%.mo$")
    local found = {}
    for _, code in ipairs(codes) do
        local path = ("%s/%s/LC_MESSAGES/%s.mo"):format(directory, code, domain)
        if core.file_kind(path) == "file" then
            local text, catalogue
            text, why = read_file(path)
            if text then catalogue, why = mo.parse(text) end
            if catalogue then
                found[code] = { make = GettextLocale, data = catalogue }
            else
                gen_log:error("Cannot load translation for '%s': %s", code, why)
            end
        end
    end
    set_fallbacks(found)
    use(found)
end

-- Finding a locale -----------------------------------------------------------------------

--- Sets the language that the messages in the code are in: it needs no translations.
function locale.set_default_locale(code)
    if type(code) ~= "string" or code == "" then
        error("bad code: expected string, got " .. util.shown(code), 2)
    end
    default_locale = code
    use(translations)
end

--- The codes there are, sorted.
function locale.get_supported_locales()
    local list = {}
    for code in pairs(supported) do list[#list + 1] = code end
    table.sort(list)
    return list
end

--- Locale.get(code): the one Locale of that code; raises for a code that is not supported.
function Locale.get(code)
    local found = made[code]
    if found then return found end
    if not supported[code] then error("unsupported locale " .. util.shown(code), 2) end
    local entry = translations[code]
    found = entry and entry.make(code, entry.data) or CSVLocale(code)
    made[code] = found
    return found
end

-- "EN-us" -> "en_US" and "en"; nil for what is no code.
local function normal(code)
    local language, rest = code:gsub("-", "_"):match("^([^_]*)(.*)$")
    if rest == "" then return language, language:lower() end
    local country = rest:match("^_([^_]*)$")
    if not country then return nil end
    return language:lower() .. "_" .. country:upper(), language:lower()
end

--- The first locale that is supported, by code or by language alone, or the default one.
function Locale.get_closest(...)
    for i = 1, select("#", ...) do
        local code = select(i, ...)
        local exact, language
        if code ~= nil then util.expect(code, "string", "code") end
        if code and code ~= "" then exact, language = normal(code) end
        if exact and supported[exact] then return Locale.get(exact) end
        if exact and supported[language] then return Locale.get(language) end
    end
    return Locale.get(default_locale)
end

--- The same: get("fr-CA", "en").
locale.get = Locale.get_closest

return locale
