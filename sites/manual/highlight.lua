-- Light colours for code: each token in a <span>, everything escaped. What no table knows is
-- escaped alone.
local escape = require "tornado.escape"

local function words(text)
    local set = {}
    for word in text:gmatch("%S+") do set[word] = "kw" end
    return set
end

local LUA_WORDS = words [[and break do else elseif end false for function goto if in local nil not
    or repeat return then true until while]]
local SHELL_WORDS = words [[if then else fi for do done while case esac in]]

-- Pattern and class of each token, tried in this order; a table of words has the class itself.
local LUA = {
    { "^%-%-%[%[.-%]%]", "rem" }, { "^%-%-[^\n]*", "rem" }, { '^"[^"\n]*"', "str" },
    { "^'[^'\n]*'", "str" }, { "^%[%[.-%]%]", "str" }, { "^[%a_][%w_]*", LUA_WORDS },
    { "^%d[%w.]*", "num" }, { "^%s+" }, { "^." },
}
local SHELL = {
    { "^#[^\n]*", "rem" }, { '^"[^"]*"', "str" }, { "^'[^']*'", "str" },
    { "^%-%-?[%a][%w-]*", "num" }, { "^[%a_][%w_./-]*", SHELL_WORDS }, { "^%s+" }, { "^." },
}
local HTML = {
    { "^<!%-%-.-%-%->", "rem" }, { "^{#.-#}", "rem" }, { "^{%%.-%%}", "kw" }, { "^{{.-}}", "num" },
    { '^"[^"\n]*"', "str" }, { "^</?[%a!][%w-]*", "kw" }, { "^/?>", "kw" }, { "^." },
}
local HTTP = {
    { "^[A-Z]+ %S+", "kw" }, { "^[%w-]+:", "num" }, { "^%d%d%d", "str" }, { "^[^\n]+" }, { "^\n" },
}
local UNIT = {
    { "^#[^\n]*", "rem" }, { "^%[[^%]\n]*%]", "kw" }, { "^[%a][%w_]*=", "num" }, { "^[^\n]+" },
    { "^\n" },
}

local LANGUAGES = { lua = LUA, conf = LUA, sh = SHELL, html = HTML, http = HTTP, ini = UNIT }

local function next_token(tokens, source, at)
    for _, token in ipairs(tokens) do
        local text = source:match(token[1], at)
        if text then
            local class = token[2]
            return text, type(class) == "table" and class[text] or class
        end
    end
    return source:sub(at, at)
end

--- The HTML of source in a language: "lua", "conf", "sh", "html", "http", "ini".
return function(source, language)
    local tokens = LANGUAGES[language]
    if not tokens then return escape.xhtml_escape(source) end
    local out, at = {}, 1
    while at <= #source do
        local text, class = next_token(tokens, source, at)
        at = at + #text
        text = escape.xhtml_escape(text)
        if type(class) == "string" then
            text = ('<span class="%s">%s</span>'):format(class, text)
        end
        out[#out + 1] = text
    end
    return table.concat(out)
end
