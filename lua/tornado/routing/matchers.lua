-- What a rule matches: a path, a host, or anything. Patterns are full matches; a pattern
-- that is plain text says so in `literal`, so that the router can look it up.

local core = require "tornado.core"
local util = require "tornado.util"

local byte, char, find, format, gsub = string.byte, string.char, string.find, string.format,
    string.gsub
local lower, match, sub, upper = string.lower, string.match, string.sub, string.upper
local url_decode = core.url_decode

local matchers = {}

local app_error = util.app_error

--- Raises for the `i`th of a list of rules, which is none. A handler that is nil is a name that is
-- misspelt, or defined further below.
function matchers.refuse_rule(i, rule)
    if type(rule) == "table" and type(rule[1]) == "string" and rule[2] == nil then
        app_error(('bad rule %d, "%s": its handler is nil; is that name defined above?'):format(i,
            rule[1]))
    end
    app_error(("bad rule %d: expected {pattern, target, kwargs, name} or a Rule, got %s"):format(i,
        type(rule)))
end

local function normalize_escape(hex)
    local text = char(tonumber(hex, 16))
    if find(text, "[%w._~-]") then return text end
    return "%" .. upper(hex)
end

--- Returns a path with %XX of unreserved characters decoded and the others in upper
--- case, which are the same path (RFC 3986 §6.2.2).
-- Tornado: matches the path as it was sent.
function matchers.normalize(path)
    return (gsub(path, "%%(%x%x)", normalize_escape))
end

-- The same for a pattern, where a decoded "." or "-" must not become an operator.
local function normalize_pattern(pattern)
    return (gsub(pattern, "%%(%x%x)", function(hex)
        local text = normalize_escape(hex)
        return find(text, "^[.-]") and "\\" .. text or text
    end))
end

-- Whether the pattern ends with a "$" that is not escaped.
local function ends_with_dollar(pattern)
    local slashes = match(pattern, "(\\*)%$$")
    return slashes ~= nil and #slashes % 2 == 0
end

-- The text that a pattern without operators matches; nil for other patterns.
local function literal_text(pattern)
    if byte(pattern, 1) == 94 then pattern = sub(pattern, 2) end
    if ends_with_dollar(pattern) then pattern = sub(pattern, 1, -2) end
    if find(pattern, "\\%w") or find(pattern, "\\$") then return nil end
    if find(gsub(pattern, "\\.", ""), "[][\\^$.|?*+(){}]") then return nil end
    return (gsub(pattern, "\\(.)", "%1"))
end

-- The regex of a full match, or an error at the application's line.
-- Tornado: only appends "$", so in "a|b" the first branch matches a prefix.
local function compile(pattern, what)
    local full = pattern
    if find(pattern, "|", 1, true) then
        full = "(?:" .. pattern .. ")$"
    elseif not ends_with_dollar(pattern) then
        full = pattern .. "$"
    end
    local regex, why = core.regex(full)
    if full ~= pattern and (not regex or byte(full, 2) == 63) then
        -- What is wrong, and where, must be said of the pattern as it was written.
        local plain, plain_why = core.regex(pattern)
        if not plain then regex, why = nil, plain_why end
    end
    if not regex then app_error(format("bad %s %q: %s", what, pattern, why)) end
    return regex
end

--- The base of matchers.
matchers.Matcher = util.Object:extend "Matcher"

--- Takes a path in normal form, a Host, and the request if there is one; returns whether they
--- match, and the captures.
function matchers.Matcher:match()
    error(tostring(self.class) .. ":match is not implemented", 2)
end

--- Returns nil: only paths can be reversed.
function matchers.Matcher:reverse() -- luacheck: ignore 212/self
    return nil
end

--- Matches everything.
matchers.AnyMatches = matchers.Matcher:extend "AnyMatches"

function matchers.AnyMatches:match() -- luacheck: ignore 212/self
    return true, nil
end

--- Matches hosts by a pattern, in lower case and without the port.
matchers.HostMatches = matchers.Matcher:extend "HostMatches"
local HostMatches = matchers.HostMatches

-- The text that every path which the pattern matches begins with: comparing it first saves most
-- paths the regular expression. An alternative, or a quantifier behind, leaves less certain.
local function literal_prefix(pattern)
    if find(pattern, "|", 1, true) then return "" end
    local prefix, next_char = pattern:match("^([%w/_-]*)(.?)")
    if find(next_char, "[*?{]") then prefix = prefix:sub(1, -2) end
    return prefix
end

--- Takes a pattern, or a compiled regex to be used as it is.
function HostMatches:init(pattern)
    if type(pattern) == "string" then
        self.pattern = pattern
        self.regex = compile(pattern, "host pattern")
    elseif type(pattern) == "table" and pattern.match then
        self.regex = pattern
    else
        app_error("bad host pattern: expected string or regex, got " .. type(pattern))
    end
end

function HostMatches:match(_, host)
    host = gsub(lower(host or ""), ":%d*$", "")
    return self.regex:match(host) ~= nil, nil
end

--- Matches by the host that the application has as its setting default_host, requests that come
--- through a proxy (with X-Real-Ip) excepted.
matchers.DefaultHostMatches = matchers.Matcher:extend "DefaultHostMatches"
local DefaultHostMatches = matchers.DefaultHostMatches

--- Takes an application, and a pattern as HostMatches.
function DefaultHostMatches:init(application, pattern)
    self.application = application
    self._host = HostMatches(pattern)
end

function DefaultHostMatches:match(_, _, request)
    local host = self.application.settings.default_host
    if not host or request and request.headers:get("X-Real-Ip") then return false end
    return self._host:match(nil, host)
end

--- Matches paths by a pattern whose groups are all named or all positional.
matchers.PathMatches = matchers.Matcher:extend "PathMatches"
local PathMatches = matchers.PathMatches

-- The literal pieces around the groups, nil when the pattern is not that simple: nested
-- or non-capturing groups, operators outside of groups, escapes with a meaning.
local function reverse_pieces(pattern, groups)
    if byte(pattern, 1) == 94 then pattern = sub(pattern, 2) end
    if ends_with_dollar(pattern) then pattern = sub(pattern, 1, -2) end
    local _, opened = gsub(pattern, "%(", "")
    local _, closed = gsub(pattern, "%)", "")
    if opened ~= groups or closed ~= groups then return nil end
    local pieces, n = {}, 0
    for fragment in (pattern .. "("):gmatch("([^(]*)%(") do
        local text = fragment
        if n > 0 then
            text = match(fragment, "^[^)]*%)(.*)$")
            if not text then return nil end
        end
        local bare = gsub(text, "\\%W", "")
        if find(bare, "[][\\^$|?*+{})]") then return nil end
        n = n + 1
        pieces[n] = util.re_unescape(text)
    end
    return pieces
end

-- names is false for positional groups; mixing is the application's mistake.
local function group_names(regex, pattern)
    local named = 0
    for _ in pairs(regex.names) do named = named + 1 end
    if named == 0 then return false end
    if named ~= regex.groups then
        app_error(format("groups in url regexes must either be all named or all positional: %q",
            pattern))
    end
    return regex.names
end

--- Takes a pattern, or a compiled regex to be used as it is.
function PathMatches:init(pattern)
    if type(pattern) ~= "string" then
        if type(pattern) ~= "table" or not pattern.match then
            app_error("bad pattern: expected string or regex, got " .. type(pattern))
        end
        self.pattern, self.regex, self.prefix = tostring(pattern), pattern, ""
        self.names, self.groups = group_names(pattern, self.pattern), pattern.groups
        return
    end
    self.pattern = pattern
    self.names, self.groups = false, 0
    local literal = literal_text(pattern)
    if literal then
        self.literal = matchers.normalize(literal)
        self.pieces = { literal }
        return
    end
    self.regex = compile(normalize_pattern(pattern), "url pattern")
    self.prefix = literal_prefix(normalize_pattern(pattern))
    self.groups = self.regex.groups
    self.names = group_names(self.regex, pattern)
    self.pieces = reverse_pieces(pattern, self.groups)
end

-- nil is a group that took no part; the text of the others is still encoded.
local function decoded(value)
    if not value then return nil end
    if not find(value, "%", 1, true) then return value end
    return url_decode(value, false)
end

--- Takes a path in normal form; returns whether it matches and the captures, decoded:
--- nil, {n = count, ...} or {named = {...}}. A group that took no part is nil.
function PathMatches:match(path)
    if self.literal then return path == self.literal, nil end
    local prefix = self.prefix
    if sub(path, 1, #prefix) ~= prefix then return false, nil end
    local captures = self.regex:match(path)
    if not captures then return false, nil end
    local groups = self.groups
    if groups == 0 then return true, nil end
    local names = self.names
    if names then
        local args = {}
        for i = 1, groups do args[names[i]] = decoded(captures[i]) end
        return true, { named = args }
    end
    captures.n = groups
    if find(path, "%", 1, true) then
        for i = 1, groups do captures[i] = decoded(captures[i]) end
    end
    return true, captures
end

--- Takes one argument per group and returns the path with them, percent-encoded; raises
--- for a pattern that is too complicated and for the wrong number of arguments.
function PathMatches:reverse(...)
    local pieces = self.pieces
    if not pieces then app_error("Cannot reverse url regex " .. self.pattern) end
    local count = select("#", ...)
    if count ~= self.groups then app_error("required number of arguments not found") end
    local out = { pieces[1] }
    for i = 1, count do
        local value = (select(i, ...))
        if value == nil then
            app_error(format("bad argument %d: expected string or number, got nil", i))
        end
        out[2 * i] = core.url_encode(tostring(value), false)
        out[2 * i + 1] = pieces[i + 1]
    end
    return table.concat(out)
end

return matchers
