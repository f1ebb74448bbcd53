-- The page of all options, from the ctornado.conf that is in the binary and the list that the
-- server reads: so it has what this server has.
local config = require "tornado.config"
local core = require "tornado.core"

local UNITS = {
    integer = "a number", seconds = "seconds", bytes = 'bytes, as a number or "64K", "1M", "2G"',
    boolean = "true or false", string = "a string", list = "a list of strings",
    sites = "a list of folders or tables", listen = "a list of addresses or tables",
    networks = "a list of addresses and networks", workers = 'a number, or "auto"',
    level = 'one of "debug", "info", "warning", "error", "none"', format = '"text" or "json"',
    access_format = 'one of "tornado", "combined", "json", "auto"',
    switch = 'true, false or "auto"',
    accept = 'one of "all", "proxies", "none"',
}

-- The blocks of the file: { section = }, or { comment =, lines }: text, and the assignments that
-- stand right behind it.
local function blocks_of(text)
    local blocks, comment, names = {}, {}, {}
    local function close()
        if #comment > 0 then
            blocks[#blocks + 1] = { comment = table.concat(comment, "\n"), names = names }
        end
        comment, names = {}, {}
    end
    for line in (text .. "\n"):gmatch("(.-)\n") do
        local section = line:match("^%-%- (%u[%u %p]-) %-%-%-+$")
        local name = line:match("^%-?%-?([%l_%d]+) = ")
        local prose = line:match("^%-%- ?(.*)$")
        if section then
            close()
            blocks[#blocks + 1] = { section = section }
        elseif name then
            names[#names + 1] = name
        elseif prose and #names == 0 then
            comment[#comment + 1] = prose
        else
            close()
        end
    end
    close()
    return blocks
end

local function sentence(text)
    return text:sub(1, 1) .. text:sub(2):lower()
end

-- 65536 as "64K".
local function shown(option)
    local kind, default = option[2], option[3]
    if type(default) == "table" then return "none" end
    if default == "" then return "empty" end
    if kind ~= "bytes" then return "`" .. tostring(default) .. "`" end
    for _, unit in ipairs { { "M", 1048576 }, { "K", 1024 } } do
        if default > 0 and default % unit[2] == 0 then
            return ('`"%d%s"`'):format(default / unit[2], unit[1])
        end
    end
    return "`" .. default .. "`"
end

local function describe(option)
    return ("*%s; default: %s.*"):format(UNITS[option[2]] or option[2], shown(option))
end

local options = {}

--- Options of the server by name, as { name, type, default, text, ... }.
function options.by_name()
    local list = {}
    for _, option in ipairs(config.OPTIONS) do list[option[1]] = option end
    return list
end

-- One option: its name, its line, and what stands above it in the file.
local function add_option(out, known, name, seen)
    out[#out + 1] = "### " .. name
    local option = known[name]
    if option then
        seen[name] = true
        out[#out + 1] = describe(option)
    end
end

local HEAD = [[
# Options

Each is a line of `ctornado.conf`, and `--name=value` on the command line, which wins;
`--config=FILE` there reads another file. This page is made from the server that shows it: its list
of options, and the `ctornado.conf` that belongs to it. How the two are used is in
[Running it](production.md).
]]

--- The page as Markdown, and a map of the options that it has.
function options.page()
    local out, seen, known = { HEAD }, {}, options.by_name()
    local text = core.scripts()["ctornado.conf"]
    for i, block in ipairs(blocks_of(text)) do
        if block.section then
            out[#out + 1] = "## " .. sentence(block.section)
        elseif i == 1 then
            out[#out + 1] = (block.comment:gsub("^[^\n]*\n", ""))
        else
            for _, name in ipairs(block.names) do add_option(out, known, name, seen) end
            out[#out + 1] = block.comment
        end
    end
    return table.concat(out, "\n\n"), seen
end

return options
