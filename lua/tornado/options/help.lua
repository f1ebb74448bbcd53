-- The text of --help.
local help = {}

local WIDTH = 44 -- of the column with the descriptions

local function wrap(text)
    local lines, line = {}, ""
    for word in text:gmatch("%S+") do
        while #word > WIDTH do
            local room = WIDTH - #line - (line == "" and 0 or 1)
            if room < 1 then
                lines[#lines + 1], line = line, ""
            else
                lines[#lines + 1] = line .. (line == "" and "" or " ") .. word:sub(1, room)
                line, word = "", word:sub(room + 1)
            end
        end
        if line ~= "" and #line + 1 + #word > WIDTH then
            lines[#lines + 1], line = line, ""
        end
        line = line .. (line == "" and "" or " ") .. word
    end
    if line ~= "" then lines[#lines + 1] = line end
    return lines
end

local function shown(value)
    if type(value) ~= "table" then return tostring(value) end
    if value.year then
        return ("%04d-%02d-%02d %02d:%02d:%02d"):format(value.year, value.month, value.day,
            value.hour or 0, value.min or 0, value.sec or 0)
    end
    local items = {}
    for i, item in ipairs(value) do items[i] = shown(item) end
    return table.concat(items, ",")
end

local function describe(option)
    local default = option.default ~= nil and shown(option.default) or ""
    local text = option.help or ""
    if default ~= "" then text = text .. " (default " .. default .. ")" end
    return wrap(text)
end

local function print_option(file, option)
    local name = option.name:gsub("_", "-")
    if option.metavar then name = name .. "=" .. option.metavar end
    local lines = describe(option)
    if #name > 30 or #lines == 0 then table.insert(lines, 1, "") end
    file:write(("  --%-30s %s\n"):format(name, lines[1]))
    for i = 2, #lines do file:write((" "):rep(34), " ", lines[i], "\n") end
end

--- Writes the options (a list) to `file`, by group and name.
function help.print(file, options)
    local arguments = rawget(_G, "arg")
    local by_group, groups = {}, {}
    for _, option in ipairs(options) do
        local group = by_group[option.group]
        if not group then
            group = {}
            by_group[option.group], groups[#groups + 1] = group, option.group
        end
        group[#group + 1] = option
    end
    table.sort(groups)
    file:write(("Usage: %s [OPTIONS]\n\nOptions:\n\n"):format(arguments and arguments[0] or
        "ctornado"))
    for _, name in ipairs(groups) do
        if name ~= "" then file:write(("\n%s options:\n\n"):format(name)) end
        table.sort(by_group[name], function(a, b) return a.name < b.name end)
        for _, option in ipairs(by_group[name]) do print_option(file, option) end
    end
    file:write("\n")
end

return help
