-- `ctornado new DIR`: a site to begin with, from the files in skeleton/, which are in the binary.
local core = require "tornado.core"
local files = require "tornado.files"

local DONE, FAILED, USAGE = 0, 1, 2

local new = {}

-- Path in the site -> name in the binary.
local FILES = {
    { "app.lua", "tornado.skeleton.app" },
    { "templates/base.html", "tornado/skeleton/templates/base.html" },
    { "templates/home.html", "tornado/skeleton/templates/home.html" },
    { "static/site.css", "tornado/skeleton/static/site.css" },
    { "static/site.svg", "tornado/skeleton/static/site.svg" },
    { "spec/app_spec.lua", "tornado.skeleton.spec.app_spec" },
}

local FOLDERS = { "templates", "static", "spec" }

local NEXT = {
    { "--site=%s --debug", "serves it on http://127.0.0.1:8888" },
    { "test %s/spec", "runs its specs" },
    { "check --site=%s", "looks for mistakes without serving it" },
    { "reload", "has the server that runs load it anew, after a change" },
}

-- Why nothing can be made there, or nil.
local function obstacle(folder)
    if core.file_kind(folder) == "file" then return folder .. " is a file" end
    if core.file_kind(folder) ~= "folder" then return nil end
    local names, why = core.folder(folder)
    if not names then return folder .. ": " .. why end
    if #names > 0 then
        return ("%s is not empty (it has %s): give the name of a new folder"):format(folder,
            names[1])
    end
end

local function make(folder)
    files.mkdir(folder, { parents = true })
    for _, name in ipairs(FOLDERS) do files.mkdir(folder .. "/" .. name, { parents = true }) end
    for _, file in ipairs(FILES) do
        files.write(folder .. "/" .. file[1], core.script(file[2]), { exclusive = true })
    end
end

local function quoted(path)
    if path:find("^[%w_./+,-]+$") then return path end
    return "'" .. path:gsub("'", "'\\''") .. "'"
end

-- Says what there is now, and what to do next.
local function report(folder, program)
    local list, path = {}, quoted(folder):gsub("%%", "%%%%")
    for i, file in ipairs(FILES) do list[i] = file[1] end
    print(("made a site in %s: %s\n"):format(folder, table.concat(list, ", ")))
    local width, lines = 0, {}
    for i, line in ipairs(NEXT) do
        lines[i] = quoted(program) .. " " .. line[1]:gsub("%%s", path)
        width = math.max(width, #lines[i])
    end
    for i, line in ipairs(NEXT) do
        print(("  %s%s   %s"):format(lines[i], (" "):rep(width - #lines[i]), line[2]))
    end
end

--- Returns the exit code; `program` is what the user typed to run it.
function new.run(_, rest, _, fail, program)
    if #rest ~= 1 or rest[1] == "" then
        fail("new takes one argument, the folder to make: ctornado new sites/hello")
        return USAGE
    end
    local folder = #rest[1] > 1 and rest[1]:gsub("/+$", "") or rest[1]
    local why = obstacle(folder)
    if why then
        fail("new: " .. why)
        return FAILED
    end
    local ok, err = pcall(make, folder)
    if not ok then
        fail("new: " .. (type(err) == "table" and err.message or tostring(err)))
        return FAILED
    end
    report(folder, program)
    return DONE
end

return new
