-- Makes a tree of a template's tokens. Each piece of Lua in it is compiled once by itself, so
-- that what is wrong with it is reported for its own line.
local lexer = require "tornado.template.lexer"

local ParseError = lexer.ParseError

local parser = {}

local MODES = { all = true, single = true, oneline = true }

--- Returns `text` with its whitespace reduced: mode "all" (nothing), "single" (one space, one
--- newline) or "oneline".
function parser.filter_whitespace(mode, text)
    if not MODES[mode] then error("invalid whitespace mode " .. tostring(mode), 2) end
    if mode == "all" then return text end
    if mode == "oneline" then return (text:gsub("%s+", " ")) end
    return (text:gsub("[\t ]+", " "):gsub("%s*\n%s*", "\n"))
end

local function fail(p, line, text, ...)
    if select("#", ...) > 0 then text = text:format(...) end
    error(ParseError(text, p.file.name, line), 0)
end

-- Compiles `code` between `before` and `after`, to see that it is Lua.
local function check(p, token, code, before, after)
    local chunk, why = loadstring(before .. code .. "\n" .. (after or ""), "=?")
    if chunk then return code end
    local line, text = why:match "^%?:(%d+): (.*)$"
    local last = select(2, code:gsub("\n", ""))
    return fail(p, token.code_line + math.min(tonumber(line or 1) - 1, last), "%s", text or why)
end

local function check_expression(p, token, code)
    check(p, token, code, "return ")
    return check(p, token, code, "return (", ")")
end

local function required(p, token, text)
    if token.code == "" then fail(p, token.line, text) end
    return token.code
end

local function unquoted(p, token, text)
    local name = required(p, token, text):gsub("^[\"']+", ""):gsub("[\"']+$", "")
    if name == "" then fail(p, token.line, text) end
    return name
end

-- Bodies -------------------------------------------------------------------------------

local PARENTS = {
    ["else"] = { "for", "if", "try", "while" },
    ["elif"] = { "if" },
    ["elseif"] = { "if" },
    ["except"] = { "try" },
    ["finally"] = { "try" },
}

local function set_of(names)
    return "{'" .. table.concat(names, "', '") .. "'}"
end

local function check_parent(p, token, within)
    local parents = PARENTS[token.op]
    if not within then fail(p, token.line, "%s outside %s block", token.op, set_of(parents)) end
    for _, parent in ipairs(parents) do
        if parent == within then return end
    end
    fail(p, token.line, "%s block cannot be attached to %s block", token.op, within)
end

local DIRECTIVES = {}

-- Parses up to the {% end %} of the block `within`, or to an {% else %} and the like of it;
-- returns the nodes and that token.
local function parse_body(p, within, loop, line)
    local body = {}
    while true do
        local token = p.tokens[p.at]
        p.at = p.at + 1
        if not token then
            if within then fail(p, line, "Missing {%% end %%} block for %s", within) end
            return body
        end
        local op = token.op
        if token.kind == "text" then
            token.whitespace = p.whitespace
            body[#body + 1] = token
        elseif token.kind == "expression" then
            check_expression(p, token, token.code)
            body[#body + 1] = token
        elseif op == "end" then
            if not within then fail(p, token.line, "Extra {% end %} block") end
            return body, token
        elseif PARENTS[op] then
            check_parent(p, token, within)
            return body, token
        else
            local directive = DIRECTIVES[op]
            if not directive then fail(p, token.line, "unknown operator: '%s'", op) end
            body[#body + 1] = directive(p, token, loop)
        end
    end
end

-- What may follow {% else %} and {% finally %} is only {% end %}, or what `next_op` says.
local function last_body(p, token, within, loop, next_op)
    if token.code ~= "" then fail(p, token.line, "%s takes nothing", token.op) end
    local body, stop = parse_body(p, within, loop, token.line)
    if stop.op ~= "end" and stop.op ~= next_op then
        fail(p, stop.line, "%s behind %s", stop.op, token.op)
    end
    return body, stop
end

-- Directives -----------------------------------------------------------------------------

function DIRECTIVES.comment() end

function DIRECTIVES.extends(p, token)
    local node = { kind = "extends", line = token.line,
        name = unquoted(p, token, "extends missing file path") }
    p.file.extends = p.file.extends or node
    return node
end

function DIRECTIVES.include(p, token)
    return { kind = "include", line = token.line,
        name = unquoted(p, token, "include missing file path") }
end

function DIRECTIVES.set(p, token)
    local code = required(p, token, "set missing statement")
    return { kind = "set", line = token.code_line, code = check(p, token, code, "") }
end

local NAME = "^[%a_][%w_]*$"

-- {% import "mod" as x %}
DIRECTIVES["import"] = function(p, token)
    local code = required(p, token, "import missing statement")
    local module, alias = code:match "^(%S+)%s+as%s+(%S+)$"
    module = (module or code):match "^[\"']?([%w_.%-/]+)[\"']?$"
    alias = alias or module and module:match "[^./]+$"
    if not module or not alias:find(NAME) then
        fail(p, token.line, 'bad import: expected import "module" as name')
    end
    return { kind = "set", line = token.line, code = ("%s = require(%q)"):format(alias, module) }
end

-- {% from "mod" import a, b as c %}
DIRECTIVES["from"] = function(p, token)
    local code = required(p, token, "import missing statement")
    local module, list = code:match "^[\"']?([%w_.%-/]+)[\"']?%s+import%s+(.+)$"
    if not module then fail(p, token.line, 'bad import: expected from "module" import name') end
    local names, targets = {}, {}
    for item in (list .. ","):gmatch "%s*(.-)%s*," do
        local name, alias = item:match "^(%S+)%s+as%s+(%S+)$"
        name, alias = name or item, alias or item
        if not name:find(NAME) or not alias:find(NAME) then
            fail(p, token.line, "bad import: '%s' is no name", item)
        end
        names[#names + 1], targets[#targets + 1] = ("%q"):format(name), alias
    end
    return { kind = "set", line = token.line, code = ("%s = _tt_from(%q, require(%q), %s)"):format(
        table.concat(targets, ", "), module, module, table.concat(names, ", ")) }
end

-- For the whole file, wherever it stands; the last one counts.
function DIRECTIVES.autoescape(p, token)
    local code = token.code
    local off = code == "None" or code == "nil" or code == "false" or code == ""
    p.file.autoescape = not off and check_expression(p, token, code)
end

function DIRECTIVES.whitespace(p, token)
    if not MODES[token.code] then
        fail(p, token.line, "invalid whitespace mode %s", token.code)
    end
    p.whitespace = token.code
end

function DIRECTIVES.raw(p, token)
    local code = required(p, token, "Empty expression")
    check_expression(p, token, code)
    return { kind = "expression", raw = true, code = code, code_line = token.code_line }
end

function DIRECTIVES.module(p, token)
    local code = required(p, token, "module missing expression")
    check_expression(p, token, "_tt_modules." .. code)
    return { kind = "expression", raw = true, code = "_tt_modules." .. code,
        code_line = token.code_line }
end

-- Tornado: has no {% super %}.
function DIRECTIVES.super(p, token)
    if not p.block then fail(p, token.line, "super outside {'block'} block") end
    return { kind = "super", line = token.line, block = p.block }
end

function DIRECTIVES.block(p, token, loop)
    local name = required(p, token, "block missing name")
    local node = { kind = "block", name = name, line = token.line, file = p.file }
    local outer = p.block
    p.block = node
    node.body = parse_body(p, "block", loop, token.line)
    p.block = outer
    return node
end

function DIRECTIVES.apply(p, token)
    local code = required(p, token, "apply missing method name")
    check_expression(p, token, code)
    return { kind = "apply", code = code, line = token.line, code_line = token.code_line,
        body = parse_body(p, "apply", nil, token.line) }
end

DIRECTIVES["if"] = function(p, token, loop)
    local node = { kind = "if", branches = {}, line = token.line }
    repeat
        check_expression(p, token, required(p, token, token.op .. " missing condition"))
        local body, stop = parse_body(p, "if", loop, token.line)
        table.insert(node.branches, { code = token.code, code_line = token.code_line,
            body = body })
        if stop.op == "else" then node.otherwise, stop = last_body(p, stop, "if", loop) end
        token = stop
    until token.op == "end"
    return node
end

-- A loop's body and its {% else %}.
local function parse_loop(p, token, node, outer)
    node.line, node.code_line = token.line, token.code_line
    local stop
    node.body, stop = parse_body(p, node.kind, node, token.line)
    if stop.op == "else" then node.otherwise = last_body(p, stop, node.kind, outer) end
    return node
end

DIRECTIVES["for"] = function(p, token, loop)
    local code = required(p, token, "for missing statement")
    check(p, token, code, "for ", "do end")
    local names, list = code:match "^([%a_][%w_%s,]-)%s+in%f[^%w_](.+)$"
    local node = { kind = "for", code = code, names = {} }
    for name in (names or code:match "^[^=]+"):gmatch "[%w_]+" do
        table.insert(node.names, name)
    end
    if names and #node.names == 1 and not list:find "^%s*i?pairs%s*%(" then node.list = list end
    return parse_loop(p, token, node, loop)
end

DIRECTIVES["while"] = function(p, token, loop)
    local code = check_expression(p, token, required(p, token, "while missing condition"))
    return parse_loop(p, token, { kind = "while", code = code }, loop)
end

local function jump(p, token, loop)
    if not loop then fail(p, token.line, "%s outside {'for', 'while'} block", token.op) end
    loop[token.op] = true
    return { kind = token.op, line = token.line, loop = loop }
end

DIRECTIVES["break"] = jump
DIRECTIVES["continue"] = jump

-- {% except e %} binds what was raised; {% except Exception as e %} is understood.
local function except(p, token, node, loop)
    local name = token.code:match "%f[%w_]as%s+(%S+)$" or token.code
    if name ~= "" and not name:find(NAME) then fail(p, token.line, "except takes a name") end
    node.name = name ~= "" and name
    local stop
    node.except, stop = parse_body(p, "try", loop, token.line)
    if stop.op == "except" then fail(p, stop.line, "only one except is possible") end
    return stop
end

DIRECTIVES["try"] = function(p, token, loop)
    local node = { kind = "try", line = token.line }
    local body, stop = parse_body(p, "try", loop, token.line)
    node.body = body
    if stop.op == "except" then stop = except(p, stop, node, loop) end
    if stop.op == "else" then
        if not node.except then fail(p, stop.line, "try has no except before else") end
        node.otherwise, stop = last_body(p, stop, "try", loop, "finally")
    end
    if stop.op == "finally" then node.finally, stop = last_body(p, stop, "try", loop) end
    if not node.except and not node.finally then
        fail(p, token.line, "try without except or finally")
    end
    if stop.op ~= "end" then fail(p, stop.line, "%s is out of place", stop.op) end
    return node
end

--- Takes a template's text and its file { name, autoescape }, to which it adds `body` and
--- `extends`; raises ParseError.
function parser.parse(text, file, whitespace)
    local p = { tokens = lexer.tokens(text, file.name), at = 1, file = file,
        whitespace = whitespace }
    file.body = parse_body(p)
    return file
end

return parser
