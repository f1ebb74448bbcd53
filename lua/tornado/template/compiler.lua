-- Writes a template's tree as one Lua function, that of its topmost ancestor with the blocks
-- of its descendants, and remembers for each line of it where it came from.
--
-- The function puts into a string.buffer. Names that are not Lua locals (those of {% for %})
-- are looked up in its environment, where {% set %} writes too.
local lexer = require "tornado.template.lexer"
local parser = require "tornado.template.parser"
local runtime = require "tornado.template.runtime"
local util = require "tornado.util"

local ParseError = lexer.ParseError

local Writer = util.Object:extend "Writer"

function Writer:init(loader, blocks, file)
    self.loader, self.blocks = loader, blocks
    self.file = file -- that of the code being written
    self.via = {} -- where it was included or extended: { file, line }
    self.lines, self.map = {}, { name = file.name }
    self.count = 1 -- the function's head will be the first line
    self.pieces = {} -- of the put() that is being written
    self.buffer = "_tt_buf"
    self.serial = 0
    self.scope = {} -- names that are Lua locals, with how often
    self.tries = 0 -- how many functions of {% try %} surround the code
    self.hoisted = {}
end

function Writer:fail(line, text)
    error(ParseError(text, self.file.name, line), 0)
end

function Writer:place(line)
    local text = ("%s:%d"):format(self.file.name, line)
    if #self.via == 0 then return text end
    local above = {}
    for i = #self.via, 1, -1 do
        above[#above + 1] = ("%s:%d"):format(self.via[i].file.name, self.via[i].line)
    end
    return ("%s (via %s)"):format(text, table.concat(above, ", "))
end

local HOISTED = {}
for name in ([[escape ipairs json_encode linkify math next pairs squeeze string table tonumber
    tostring type url_escape xhtml_escape]]):gmatch "[%a_]+" do
    HOISTED[name] = true
end

-- Writes lines of code that come from `line` on. A "\f" breaks a line that is none in the
-- template: behind code, which may end with a comment.
function Writer:put_lines(code, line)
    for text, stop in (code .. "\n"):gmatch "([^\n\f]*)([\n\f])" do
        self.count = self.count + 1
        self.lines[#self.lines + 1] = text
        self.map[self.count] = self:place(line)
        if stop == "\n" then line = line + 1 end
    end
    for name in code:gmatch "[%a_][%w_]*" do
        if HOISTED[name] then self.hoisted[name] = true end
    end
end

local MAX_PIECES = 40

-- Ends the put() that is being written.
function Writer:flush()
    local pieces = self.pieces
    if #pieces == 0 then return end
    self.pieces = {}
    self:put_lines(("_tt_put(%s,"):format(self.buffer), pieces[1].line)
    for i, piece in ipairs(pieces) do
        self:put_lines(piece.code .. (i < #pieces and "," or ");"), piece.line)
    end
end

function Writer:piece(code, line)
    self.pieces[#self.pieces + 1] = { code = code, line = line }
    -- What was written before an error stays, if a {% try %} catches it.
    if self.tries > 0 or #self.pieces == MAX_PIECES then self:flush() end
end

function Writer:code(code, line)
    self:flush()
    self:put_lines(code, line)
end

function Writer:unique()
    self.serial = self.serial + 1
    return self.serial
end

function Writer:body(body)
    for _, node in ipairs(body) do self[node.kind](self, node) end
    self:flush()
end

-- Writes the nodes of another file, or of a block, that `line` asks for.
function Writer:enter(file, line, body)
    self:flush()
    self.via[#self.via + 1] = { file = self.file, line = line }
    local before = self.file
    self.file = file
    self:body(body)
    self.file = before
    self.via[#self.via] = nil
end

-- Text and expressions ---------------------------------------------------------------------

local function escape_byte(c)
    return ("\\%03d"):format(c:byte())
end

function Writer:text(node)
    local text = node.text
    if not text:find("<pre>", 1, true) then
        text = parser.filter_whitespace(node.whitespace, text)
    end
    if text == "" then return end
    self:piece('"' .. text:gsub('[%c"\\]', escape_byte) .. '"', node.line)
end

function Writer:expression(node)
    local escape = not node.raw and self.file.autoescape
    local code
    if not escape then
        code = "_tt_text((%s\f))"
    elseif escape == "xhtml_escape" then
        self.escapes = true
        code = "_tt_escape((%s\f))"
    else
        code = "_tt_custom(" .. escape:gsub("%%", "%%%%") .. ", (%s\f))"
    end
    self:piece(code:format(node.code), node.code_line)
end

-- Statements -------------------------------------------------------------------------------

function Writer:set(node)
    -- A statement that begins with a bracket would continue the one before.
    self:code(node.code:find "^%(" and "do end " .. node.code or node.code, node.line)
end

function Writer:extends() end

Writer["if"] = function(self, node)
    for i, branch in ipairs(node.branches) do
        self:code((i == 1 and "if %s\fthen" or "elseif %s\fthen"):format(branch.code),
            branch.code_line)
        self:body(branch.body)
    end
    if node.otherwise then
        self:code("else", node.line)
        self:body(node.otherwise)
    end
    self:code("end", node.line)
end

function Writer:local_names(names, change)
    for _, name in ipairs(names) do self.scope[name] = (self.scope[name] or 0) + change end
end

-- A loop: its head, the body that {% continue %} leaves, and {% else %}, which is for a loop that
-- was not left by {% break %}.
function Writer:loop(node, head)
    local id = self:unique()
    node.id, node.tries = id, self.tries
    if node.otherwise then self:code(("local _tt_all%d = true;"):format(id), node.line) end
    self:code(head .. "\fdo" .. (node.continue and " do" or ""), node.code_line)
    node.open = true
    self:body(node.body)
    node.open = false
    if node.continue then self:code(("end ::_tt_next%d::"):format(id), node.line) end
    self:code("end", node.line)
    if node.otherwise then
        self:code(("if _tt_all%d then"):format(id), node.line)
        self:body(node.otherwise)
        self:code("end", node.line)
    end
end

Writer["for"] = function(self, node)
    local head = "for " .. node.code
    if node.list then
        head = ("for _tt_i%d, %s in _tt_each(%s\f)"):format(self:unique(), node.names[1],
            node.list)
    end
    self:code("do", node.line)
    self:local_names(node.names, 1)
    self:loop(node, head)
    self:local_names(node.names, -1)
    self:code("end", node.line)
end

Writer["while"] = function(self, node)
    self:code("do", node.line)
    self:loop(node, "while " .. node.code)
    self:code("end", node.line)
end

-- A block may have been taken out of its loop.
function Writer:loop_of(node)
    if node.loop.open then return node.loop end
    return self:fail(node.line, node.kind .. " outside {'for', 'while'} block")
end

-- Out of the functions of {% try %} a jump goes by what they return.
Writer["break"] = function(self, node)
    local loop = self:loop_of(node)
    if self.tries > loop.tries then
        self:code(('do return "break%d" end'):format(loop.id), node.line)
    else
        local note = loop.otherwise and ("_tt_all%d = false; "):format(loop.id) or ""
        self:code(("do %sbreak end"):format(note), node.line)
    end
end

Writer["continue"] = function(self, node)
    local loop = self:loop_of(node)
    if self.tries > loop.tries then
        self:code(('do return "next%d" end'):format(loop.id), node.line)
    else
        self:code(("goto _tt_next%d"):format(loop.id), node.line)
    end
end

-- Goes on with a jump that a function of {% try %} returned in `result`.
function Writer:follow(result, loops, line)
    for loop in pairs(loops) do
        for op, mark in pairs { ["break"] = "break", continue = "next" } do
            if loop[op] then
                self:code(('if %s == "%s%d" then'):format(result, mark, loop.id), line)
                self[op](self, { kind = op, loop = loop, line = line })
                self:code("end", line)
            end
        end
    end
end

-- The loops that jumps in `body` leave or continue, other than those within.
local function jumps_of(body, found)
    for _, node in ipairs(body or {}) do
        if node.loop then found[node.loop] = true end
        jumps_of(node.body, found)
        jumps_of(node.otherwise, found)
        jumps_of(node.except, found)
        jumps_of(node.finally, found)
        for _, branch in ipairs(node.branches or {}) do jumps_of(branch.body, found) end
    end
    return found
end

function Writer:protected(names, line, write)
    self:code(("local %s = _tt_pcall(function()"):format(names), line)
    self.tries = self.tries + 1
    write()
    self.tries = self.tries - 1
    self:code("end);", line)
end

-- The loops among `found` that are being written around the code here.
function Writer:open_loops(found)
    local open = {}
    for loop in pairs(found) do
        if loop.open then open[loop] = true end
    end
    return open
end

function Writer:try_except(node, loops)
    local id, line = self:unique(), node.line
    self:protected(("_tt_ok%d, _tt_e%d"):format(id, id), line, function() self:body(node.body) end)
    self:code(("if not _tt_ok%d then"):format(id), line)
    if node.name then
        self:code(("local %s = _tt_caught(_tt_e%d);"):format(node.name, id), line)
        self:local_names({ node.name }, 1)
    end
    self:body(node.except)
    if node.name then self:local_names({ node.name }, -1) end
    self:code(("elseif _tt_e%d then"):format(id), line)
    self:follow("_tt_e" .. id, loops, line)
    self:code("else", line)
    if node.otherwise then self:body(node.otherwise) end
    self:code("end", line)
end

Writer["try"] = function(self, node)
    local loops = self:open_loops(jumps_of({ node }, {}))
    local line = node.line
    self:code("do", line)
    if node.finally then
        local id = self:unique()
        self:protected(("_tt_ok%d, _tt_e%d"):format(id, id), line, function()
            if node.except then self:try_except(node, loops) else self:body(node.body) end
        end)
        self:body(node.finally)
        self:code(("if not _tt_ok%d then _tt_error(_tt_e%d, 0) end"):format(id, id), line)
        self:follow("_tt_e" .. id, loops, line)
    else
        self:try_except(node, loops)
    end
    self:code("end", line)
end

-- The names that {% set %} gives values within `body`.
local function names_set(body, found)
    for _, node in ipairs(body or {}) do
        if node.kind == "set" then
            local targets = node.code:match "^([%a_][%w_%s,]*)="
            for name in (targets or ""):gmatch "[%a_][%w_]*" do found[name] = true end
        end
        names_set(node.body, found)
        names_set(node.otherwise, found)
        for _, branch in ipairs(node.branches or {}) do names_set(branch.body, found) end
    end
    return found
end

-- The body goes into a buffer of its own; what is set in it is not seen behind it.
function Writer:apply(node)
    self:code("do", node.line)
    local names = {}
    for name in pairs(names_set(node.body, {})) do
        local is_local = (self.scope[name] or 0) > 0 or HOISTED[name]
        self:code((is_local and "local %s = %s;" or 'local %s = _tt_peek(_tt_env, "%s");'):format(
            name, name), node.line)
        names[#names + 1] = name
    end
    self:local_names(names, 1)
    local outer, inner = self.buffer, "_tt_buf" .. self:unique()
    self:code(("local %s = _tt_new();"):format(inner), node.line)
    self.buffer = inner
    self:body(node.body)
    self.buffer = outer
    self:local_names(names, -1)
    self:code(("_tt_put(%s, _tt_text(((%s\f)(%s:tostring()))));"):format(outer, node.code, inner),
        node.code_line)
    self:code("end", node.line)
end

-- Files ------------------------------------------------------------------------------------

local function load_file(loader, name, file, line, what)
    if not loader then
        error(ParseError(("{%% %s %%} block found, but no template loader"):format(what),
            file.name, line), 0)
    end
    local found, why = loader:_parse(name, file.name)
    if not found then error(ParseError(why, file.name, line), 0) end
    return found
end

function Writer:include(node)
    local file = load_file(self.loader, node.name, self.file, node.line, "include")
    local again = file == self.file
    for _, above in ipairs(self.via) do again = again or above.file == file end
    if again then self:fail(node.line, file.name .. " includes itself") end
    self:enter(file, node.line, file.body)
end

-- The definitions of a block, that of the last descendant first.
function Writer:block(node)
    self:definition(node.name, 1, node.line)
end

function Writer:definition(name, level, line)
    local definition = self.blocks[name][level]
    self:enter(definition.file, line, definition.body)
end

-- The same block of the next ancestor that has it.
function Writer:super(node)
    local name = node.block.name
    for level, definition in ipairs(self.blocks[name]) do
        if definition == node.block and self.blocks[name][level + 1] then
            return self:definition(name, level + 1, node.line)
        end
    end
end

-- Adds what `body` defines to `found`; of two definitions in a file the last one counts.
local function find_blocks(body, loader, file, found, seen)
    for _, node in ipairs(body or {}) do
        if node.kind == "block" then found[node.name] = node end
        if node.kind == "include" then
            local included = load_file(loader, node.name, file, node.line, "include")
            if not seen[included] then
                seen[included] = true
                find_blocks(included.body, loader, included, found, seen)
            end
        end
        find_blocks(node.body, loader, file, found, seen)
        find_blocks(node.otherwise, loader, file, found, seen)
        find_blocks(node.except, loader, file, found, seen)
        find_blocks(node.finally, loader, file, found, seen)
        for _, branch in ipairs(node.branches or {}) do
            find_blocks(branch.body, loader, file, found, seen)
        end
    end
end

-- The file and its ancestors, itself first.
local function ancestry(file, loader)
    local list, seen = { file }, { [file] = true }
    while file.extends do
        local node = file.extends
        local parent = load_file(loader, node.name, file, node.line, "extends")
        if seen[parent] then
            error(ParseError(("%s extends itself"):format(parent.name), file.name, node.line), 0)
        end
        seen[parent] = true
        list[#list + 1] = parent
        file = parent
    end
    return list
end

local compiler = {}

local function head_of(writer)
    local head = { ("local %s = ... return function(_tt_buf, _tt_env)"):format(
        runtime.parameters) }
    for name in pairs(writer.hoisted) do
        head[#head + 1] = ("local %s = %s"):format(name, name)
    end
    if writer.escapes then
        head[#head + 1] = "local _tt_escape = _tt_escaper(xhtml_escape)"
    end
    return table.concat(head, " ")
end

--- Compiles a parsed file; returns the chunk, for runtime.instance(), the map of its lines,
--- which must live as long, and its code. Raises ParseError.
function compiler.compile(file, loader)
    local files = ancestry(file, loader)
    local blocks = {}
    for _, ancestor in ipairs(files) do
        local found = {}
        find_blocks(ancestor.body, loader, ancestor, found, { [ancestor] = true })
        for name, node in pairs(found) do
            blocks[name] = blocks[name] or {}
            table.insert(blocks[name], node)
        end
    end
    local writer = Writer(loader, blocks, files[#files])
    writer:body(files[#files].body)
    local code = head_of(writer) .. "\n" .. table.concat(writer.lines, "\n") .. "\nend"
    local chunk, why = loadstring(code, runtime.add_map(writer.map))
    if chunk then return chunk, writer.map, code end
    local line, text = why:match "^[^:]*:(%d+): (.*)$"
    local place = writer.map[tonumber(line)] or file.name .. ":1"
    local name, number = place:match "^(.-):(%d+)"
    error(ParseError(text or why, name, tonumber(number)), 0)
end

return compiler
