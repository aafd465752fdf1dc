/* labctl_guard: watches the temperature, the gas and the rotor while labctl works. It never acquires.
 *
 * Start (a person, at the console):   xau labctl_guard <job folder>
 * Re-arm after a trip (a person, after looking at rotor, gas and heater):
 *                                     xau labctl_guard <job folder> rearm
 *
 * Why a program of its own: a program that is inside ZG is deaf for up to 50 hours. This one never calls
 * anything that blocks, so every few seconds it
 *   - reads sensor, heater, gas flow and spinning rate, on a scratch dataset of its own (so that its readbacks
 *     never touch the status parameters of the dataset being acquired),
 *   - writes a numbered heartbeat and, every ten seconds, a line of guard/log.txt,
 *   - obeys the files in control/,
 *   - compares the readings with the limits in guard.cfg, and
 *   - counts the time since labctl last renewed its lease.
 *
 * What it may do: `halt` the acquisition (never `stop` or `kill`: what was acquired is kept), lower the set
 * point to 25 C at no more than 2 K/min, and switch the heater off. What it never does: start an acquisition,
 * switch the heater on, start or stop the rotor (there is no MASG and no MASH here), or touch the gas.
 *
 * Files are numbered and end with a line `end`; a file without it is still being written and is left alone.
 * Nothing is renamed or rewritten, because C rename() does not replace a file on Windows.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>

int guard_main(char *folder);
int rearm_main(char *folder);

char job_folder[250];
int word, rearm;

/* The arguments are joined again: a job folder may have blanks in its path. */
strcpy(job_folder, "");
rearm = 0;
for (word = 2; word < i_argc; word++) {
    if (word > 2 && word == i_argc - 1 && strcmp(i_argv[word], "rearm") == 0) {
        rearm = 1;
    } else {
        if (word > 2) {
            strcat(job_folder, " ");
        }
        strcat(job_folder, i_argv[word]);
    }
}
if (rearm) {
    AUERR = rearm_main(job_folder);
} else {
    AUERR = guard_main(job_folder);
}
QUIT

/* ------------------------------------------------------------------------------------------- what it knows */

char job[250];
int instance;              /* how many guards have been started on this job folder, this one included */
int beat;                  /* number of the last heartbeat of this instance */

/* guard.cfg */
int config_no, epoch, poll_s, lease_s, log_s, blind_s, template_expno;
double sensor_min_K, sensor_max_K, heater_max_percent, gas_min_L_per_h;
double spinning_min_Hz, spinning_tolerance_Hz, safe_setpoint_K, safe_ramp_K_per_min;
char data_dir[250], scratch_dataset[250], template_dataset[250];
char heater_parameter[250], gas_readback[250], spinning_readback[250], halt_command[250];
int lease_no, control_no, step_no;      /* the next of each that has not been read */

/* readings; -1 where there is none */
double te_K, heater_percent, gas_L_per_h, spinning_Hz;
double te_blind_s, spinning_blind_s;

/* time */
double now_s, last_s, elapsed_s, lease_age_s, last_log_s, last_halt_s;
int halts;                 /* sent for one reason; after many the acquisition is not ours, or is no more */

/* what the executor does, from its status files */
int record_no, acquiring, acquiring_expno, asked_halt;
int orphan_no;             /* the last step that an executor was lost over while acquiring */
int heat_is_ours;          /* we raised the temperature and have not cooled down yet */
double expected_Hz;        /* rate that was checked or asked for; 0: not known yet */

/* state */
char state[20];            /* watching | idle | safe */
char reason[40];           /* why it is safe */
int safe_no;               /* number of the last guard/safe.NNNN */
int tripped;               /* a limit was broken: only a person re-arms */
int heater_off;            /* this program has switched the heater off */
int over_sensor, under_sensor, over_heater, low_gas, off_rate;    /* polls in a row */
double ramp_K, safe_age_s;
int arrived;               /* the safe set point itself has been sent */
int leave;

/* --------------------------------------------------------------------------------------------------- files */

int there(char *path)
{
    FILE *f;

    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    fclose(f);
    return 1;
}

/* The file is there and its writer has finished it. */
int finished(char *path)
{
    FILE *f;
    char line[250];
    int complete;

    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    complete = 0;
    while (fgets(line, 240, f) != NULL) {
        complete = 0;
        if (strncmp(line, "end", 3) == 0) {
            complete = 1;
        }
    }
    fclose(f);
    return complete;
}

int log_line(char *text)
{
    FILE *f;
    char path[300];

    sprintf(path, "%s/guard/log.txt", job);
    f = fopen(path, "a");
    if (f != NULL) {
        fprintf(f, "%.0f te_K=%.3f heater_percent=%.1f gas_L_per_h=%.1f spinning_Hz=%.1f state=%s %s\n",
                now_s, te_K, heater_percent, gas_L_per_h, spinning_Hz, state, text);
        fclose(f);
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------- guard.cfg */

int configuration_path(int number, char *path)
{
    if (number == 1) {
        sprintf(path, "%s/guard.cfg", job);
    } else {
        sprintf(path, "%s/guard.%04d.cfg", job, number);
    }
    return 0;
}

/* The counters (lease, control, step) are taken at the start only: later they are this program's own. */
int read_configuration(char *path, int at_start)
{
    FILE *f;
    char line[250];
    int file_epoch;

    file_epoch = 0;
    f = fopen(path, "r");
    if (f == NULL) {
        return -1;
    }
    while (fgets(line, 240, f) != NULL) {
        sscanf(line, "epoch=%d", &file_epoch);
    }
    fclose(f);
    if (file_epoch < epoch) {
        return 0;    /* an engine that has been superseded may not move the limits */
    }
    epoch = file_epoch;

    f = fopen(path, "r");
    if (f == NULL) {
        return -1;
    }
    while (fgets(line, 240, f) != NULL) {
        sscanf(line, "poll_s=%d", &poll_s);
        sscanf(line, "lease_s=%d", &lease_s);
        sscanf(line, "log_s=%d", &log_s);
        sscanf(line, "blind_s=%d", &blind_s);
        sscanf(line, "sensor_min_K=%lf", &sensor_min_K);
        sscanf(line, "sensor_max_K=%lf", &sensor_max_K);
        sscanf(line, "heater_max_percent=%lf", &heater_max_percent);
        sscanf(line, "gas_min_L_per_h=%lf", &gas_min_L_per_h);
        sscanf(line, "spinning_min_Hz=%lf", &spinning_min_Hz);
        sscanf(line, "spinning_tolerance_Hz=%lf", &spinning_tolerance_Hz);
        sscanf(line, "safe_setpoint_K=%lf", &safe_setpoint_K);
        sscanf(line, "safe_ramp_K_per_min=%lf", &safe_ramp_K_per_min);
        sscanf(line, "data_dir=%[^\n]", data_dir);
        sscanf(line, "guard_dataset=%[^\n]", scratch_dataset);
        sscanf(line, "template_dataset=%[^\n]", template_dataset);
        sscanf(line, "template_expno=%d", &template_expno);
        sscanf(line, "heater_parameter=%[^\n]", heater_parameter);
        sscanf(line, "gas_readback=%[^\n]", gas_readback);
        sscanf(line, "spinning_readback=%[^\n]", spinning_readback);
        sscanf(line, "halt_command=%[^\n]", halt_command);
        if (at_start) {
            sscanf(line, "lease_next=%d", &lease_no);
            sscanf(line, "control_next=%d", &control_no);
            sscanf(line, "step_next=%d", &step_no);
            sscanf(line, "heat_is_ours=%d", &heat_is_ours);
            sscanf(line, "expected_spinning_Hz=%lf", &expected_Hz);
        }
    }
    fclose(f);
    return 0;
}

int follow_configuration(int at_start)
{
    char path[300], next[300];

    configuration_path(config_no + 1, path);
    while (there(path)) {
        configuration_path(config_no + 2, next);
        if (finished(path)) {
            config_no++;
            read_configuration(path, at_start);
        } else {
            if (there(next)) {
                config_no++;    /* its writer died half-way and another has come since */
            } else {
                return 0;
            }
        }
        configuration_path(config_no + 1, path);
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------- readings */

/* The status parameter is emptied before it is asked for: a read-back that fails must show as no reading and
 * not as the one before (TopSpin presets MASR to 4200 or 5000, which proves nothing). */
int read_instruments()
{
    double te;
    int rate;
    float gas_target, gas_measured;
    const char *text;

    DATASET(scratch_dataset, 1, 1, data_dir, user)

    te_K = -1.0;
    te = 0.0;
    STOREPARS("TE", te)
    TEGET
    if (AUERR >= 0) {
        FETCHPARS("TE", &te)
        if (AUERR >= 0 && te > 50.0 && te < 700.0) {    /* 673.2 K and the like: no sensor */
            te_K = te;
        }
    }

    spinning_Hz = -1.0;
    if (strcmp(spinning_readback, "mmas") == 0) {
        MMAS_SPINRATE(text)
        if (text != NULL && strncmp(text, "Error", 5) != 0) {
            spinning_Hz = atof(text);
        }
    } else {
        rate = -1;
        STOREPARS("MASR", rate)
        MASRGET
        if (AUERR >= 0) {
            FETCHPARS("MASR", &rate)
            if (AUERR >= 0 && rate >= 0) {
                spinning_Hz = rate;
            }
        }
    }

    gas_L_per_h = -1.0;
    if (strcmp(gas_readback, "vtu") == 0) {
        gas_target = 0.0;
        gas_measured = -1.0;
        VTU_GASFLOW_STATUS(gas_target, gas_measured)
        if (AUERR >= 0) {
            gas_L_per_h = gas_measured;
        }
    }

    heater_percent = -1.0;
    if (strcmp(heater_parameter, "none") != 0) {
        AUERR = 0;    /* VTU_GET_PARAM sets it only when it fails */
        VTU_GET_PARAM(heater_parameter, text)
        if (AUERR >= 0) {
            heater_percent = atof(text);
        }
    }

    te_blind_s = te_K < 0.0 ? te_blind_s + elapsed_s : 0.0;
    spinning_blind_s = spinning_Hz < 0.0 ? spinning_blind_s + elapsed_s : 0.0;
    return 0;
}

/* ------------------------------------------------------------------------------------------ what the executor does */

int read_record(char *path)
{
    FILE *f;
    char line[250], action[250], phase[250];
    int expno_of_step;
    double rate;

    strcpy(action, "");
    strcpy(phase, "");
    expno_of_step = 0;
    rate = 0.0;
    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, 240, f) != NULL) {
        sscanf(line, "action=%[^\n]", action);
        sscanf(line, "phase=%[^\n]", phase);
        sscanf(line, "expno=%d", &expno_of_step);
        sscanf(line, "spinning_Hz=%lf", &rate);
    }
    fclose(f);
    if (strcmp(phase, "orphaned") == 0 && acquiring) {
        orphan_no = step_no;
    }
    if (strcmp(phase, "acquiring") == 0) {
        acquiring = 1;
        acquiring_expno = expno_of_step;
    }
    if (strcmp(phase, "waiting for zg") == 0) {    /* what is acquired now is somebody else's */
        acquiring = 0;
        acquiring_expno = 0;
    }
    if (rate > 0.0 && strcmp(action, "acquire") == 0) {
        expected_Hz = rate;
    }
    if (rate > 0.0 && strcmp(action, "check_spinning") == 0 && strcmp(phase, "done") == 0) {
        expected_Hz = rate;
    }
    if (strcmp(action, "set_temperature") == 0 && strcmp(phase, "begun") == 0) {
        heat_is_ours = 1;
    }
    if (strcmp(action, "cool_down") == 0 && strcmp(phase, "done") == 0) {
        heat_is_ours = 0;
    }
    return 0;
}

/* Every step leaves records 0001, 0002, ... and its last is `done` or `failed`. */
int follow_executor()
{
    char stem[300], path[320];
    int more;

    more = 1;
    while (more) {
        more = 0;
        sprintf(stem, "%s/status/%06d.%04d", job, step_no, record_no);
        sprintf(path, "%s.begun", stem);
        if (finished(path)) {
            read_record(path);
            record_no++;
            more = 1;
        }
        sprintf(path, "%s.progress", stem);
        if (finished(path)) {
            read_record(path);
            record_no++;
            more = 1;
        }
        sprintf(path, "%s.done", stem);
        if (!finished(path)) {
            sprintf(path, "%s.failed", stem);
        }
        if (finished(path)) {
            read_record(path);
            acquiring = 0;
            acquiring_expno = 0;
            step_no++;
            record_no = 1;
            more = 1;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- actions */

int halt_acquisition()
{
    /* `halt` finishes the scan, so it may take minutes: repeat it, but not at every poll, and not for ever. An
     * executor that was lost leaves no end behind, and what is acquired an hour later is somebody else's. */
    if (halts < 20 && (now_s - last_halt_s >= 30.0 || last_halt_s > now_s)) {
        XCMD(halt_command)
        last_halt_s = now_s;
        halts++;
        log_line("halt sent");
    }
    return 0;
}

int switch_heater_off()
{
    VTU_HEATER("off")
    heater_off = 1;
    log_line("heater off");
    return 0;
}

int send_setpoint(double setpoint_K)
{
    DATASET(scratch_dataset, 1, 1, data_dir, user)
    STOREPAR("TE", setpoint_K)
    if (AUERR < 0) {
        switch_heater_off();    /* TESET would send the set point before this one again; a full disk does that */
        return -1;
    }
    TESET
    return 0;
}

/* needs_person: 1 after a broken limit; 0 when labctl asked for it or went silent. */
int go_safe(char *why, int needs_person)
{
    FILE *f;
    char path[300];

    if (needs_person) {
        tripped = 1;
    }
    strcpy(reason, why);
    strcpy(state, "safe");
    safe_no++;
    safe_age_s = 0.0;
    halts = 0;
    arrived = 0;
    ramp_K = te_K > 0.0 ? te_K : safe_setpoint_K;
    sprintf(path, "%s/guard/safe.%04d", job, safe_no);
    f = fopen(path, "w");
    if (f != NULL) {
        fprintf(f, "reason=%s\nneeds_person=%d\ntime=%.0f\nte_K=%.3f\nheater_percent=%.1f\n", why, needs_person,
                now_s, te_K, heater_percent);
        fprintf(f, "gas_L_per_h=%.1f\nspinning_Hz=%.1f\nend\n", gas_L_per_h, spinning_Hz);
        fclose(f);
    }
    log_line(why);
    return 0;
}

int clear_safe(char *why)
{
    FILE *f;
    char path[300];

    sprintf(path, "%s/guard/clear.%04d", job, safe_no);
    f = fopen(path, "w");
    if (f != NULL) {
        fprintf(f, "why=%s\ntime=%.0f\nend\n", why, now_s);
        fclose(f);
    }
    strcpy(state, "watching");
    strcpy(reason, "none");
    tripped = 0;
    heater_off = 0;
    asked_halt = 0;
    lease_age_s = 0.0;
    te_blind_s = 0.0;
    spinning_blind_s = 0.0;
    log_line("watching again");
    return 0;
}

/* Rotor or gas lost, or blind: heater off at once, then halt. The gas stays on, the rotor is left alone. */
int trip_cold(char *why)
{
    if (!tripped || !heater_off) {
        switch_heater_off();
        go_safe(why, 1);
        halt_acquisition();
    }
    return 0;
}

/* Too hot: halt, then down by ramp; a sudden cold gas stream may crack a hot rotor. */
int trip_ramp(char *why)
{
    if (!tripped) {
        go_safe(why, 1);
        halt_acquisition();
    }
    return 0;
}

int judge()
{
    int hot;

    /* Limits are ours to enforce only while labctl holds the spectrometer or something of ours is still on:
     * after that, somebody else's rotor may rightly stand still. */
    if (lease_age_s > lease_s && !acquiring && !heat_is_ours) {
        return 0;
    }
    hot = acquiring || heat_is_ours || te_K > safe_setpoint_K + 5.0;

    /* Two polls in a row each: one odd reading must not end a 2D of 40 hours. */
    over_sensor = te_K > sensor_max_K ? over_sensor + 1 : 0;
    under_sensor = te_K > 0.0 && te_K < sensor_min_K ? under_sensor + 1 : 0;
    over_heater = heater_percent > heater_max_percent ? over_heater + 1 : 0;
    low_gas = hot && gas_L_per_h >= 0.0 && gas_L_per_h < gas_min_L_per_h ? low_gas + 1 : 0;
    if (hot && spinning_Hz >= 0.0) {
        if (spinning_Hz < spinning_min_Hz) {
            off_rate++;
        } else {
            if (expected_Hz > 0.0 && fabs(spinning_Hz - expected_Hz) > spinning_tolerance_Hz) {
                off_rate++;
            } else {
                off_rate = 0;
            }
        }
    } else {
        if (!hot) {
            off_rate = 0;
        }
    }

    if (off_rate >= 2) {
        trip_cold("spinning");
    }
    if (low_gas >= 2) {
        trip_cold("gas");
    }
    if (hot && te_blind_s >= blind_s) {
        trip_cold("no temperature reading");
    }
    if (hot && spinning_blind_s >= blind_s) {
        trip_cold("no spinning reading");
    }
    if (over_sensor >= 2) {
        trip_ramp("over temperature");
    }
    if (under_sensor >= 2) {
        trip_ramp("under temperature");
    }
    if (over_heater >= 2) {
        trip_ramp("heater power");
    }
    return 0;
}

/* One step of the way to 25 C. */
int keep_safe()
{
    double step_K;

    safe_age_s = safe_age_s + elapsed_s;
    if (acquiring) {
        halt_acquisition();
    }
    if (te_K > 0.0 && te_K < safe_setpoint_K + 5.0 && (heater_off || ramp_K == safe_setpoint_K)) {
        heat_is_ours = 0;    /* arrived */
    }
    if (heater_off) {
        return 0;
    }
    if (ramp_K <= 0.0) {
        ramp_K = te_K > 0.0 ? te_K : safe_setpoint_K;    /* started while already safe */
    }
    /* The sensor stays behind although the set point leads it slowly: the heater does not obey. */
    if (safe_age_s > 60.0 && te_K > ramp_K + 10.0) {
        switch_heater_off();
        return 0;
    }
    step_K = safe_ramp_K_per_min * elapsed_s / 60.0;
    if (ramp_K > safe_setpoint_K) {
        ramp_K = ramp_K - step_K > safe_setpoint_K ? ramp_K - step_K : safe_setpoint_K;
    } else {
        ramp_K = ramp_K + step_K < safe_setpoint_K ? ramp_K + step_K : safe_setpoint_K;
    }
    if (ramp_K != safe_setpoint_K || !arrived) {
        send_setpoint(ramp_K);
    }
    arrived = ramp_K == safe_setpoint_K;    /* from here on the loop holds 25 C, or whoever comes next sets it */
    return 0;
}

/* ------------------------------------------------------------------------------------------- labctl's wishes */

int read_control(char *path)
{
    FILE *f;
    char line[250], verb[250];
    int file_epoch, seq;

    strcpy(verb, "");
    file_epoch = 0;
    seq = 0;
    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, 240, f) != NULL) {
        sscanf(line, "verb=%[^\n]", verb);
        sscanf(line, "epoch=%d", &file_epoch);
        sscanf(line, "seq=%d", &seq);
    }
    fclose(f);
    if (file_epoch < epoch) {
        log_line("control of a superseded engine ignored");
        return 0;
    }
    epoch = file_epoch;
    if (strcmp(verb, "halt") == 0) {
        asked_halt = seq;
        halts = 0;
    }
    if (strcmp(verb, "safe") == 0 && strcmp(state, "safe") != 0) {
        go_safe("asked", 0);
        halt_acquisition();
    }
    if (strcmp(verb, "run") == 0 && strcmp(state, "safe") == 0 && !tripped) {
        clear_safe("run");
    }
    if (strcmp(verb, "quit") == 0) {
        leave = 1;
    }
    return 0;
}

int follow_control()
{
    char path[300], next[300];

    sprintf(path, "%s/control/%06d.ctl", job, control_no);
    sprintf(next, "%s/control/%06d.ctl", job, control_no + 1);
    while (finished(path) || there(next)) {
        if (finished(path)) {
            read_control(path);
        }
        control_no++;
        sprintf(path, "%s/control/%06d.ctl", job, control_no);
        sprintf(next, "%s/control/%06d.ctl", job, control_no + 1);
    }
    /* Asked to end one step: only that one, and only while it acquires. A step that does not acquire looks
     * at control/ itself. */
    if (asked_halt == step_no && acquiring) {
        halt_acquisition();
    }
    /* TopSpin was restarted during that step: its acquisition may go on without an executor. */
    if (asked_halt > 0 && asked_halt == orphan_no) {
        halt_acquisition();
        orphan_no = 0;
    }
    return 0;
}

int follow_lease()
{
    FILE *f;
    char path[300], line[250];
    int file_epoch, ahead, furthest, look;

    lease_age_s = lease_age_s + elapsed_s;

    /* labctl removes old renewals, so a guard that starts late, or that a dialog held up, finds its number gone. The
     * last 20 are always there: strides of 10 cannot miss them. */
    sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    furthest = 0;
    if (beat == 0) {
        furthest = 50000;
    } else {
        if (lease_age_s > 12 * poll_s) {
            furthest = lease_age_s + 20;    /* there is at most one in a second */
        }
    }
    if (furthest > 0 && !there(path)) {
        look = 1;
        for (ahead = 10; look && ahead <= furthest; ahead = ahead + 10) {
            sprintf(path, "%s/lease/%08d.lease", job, lease_no + ahead);
            if (there(path)) {
                lease_no = lease_no + ahead;
                look = 0;
            }
        }
        sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    }

    while (finished(path)) {
        file_epoch = 0;
        f = fopen(path, "r");
        if (f != NULL) {
            while (fgets(line, 240, f) != NULL) {
                sscanf(line, "epoch=%d", &file_epoch);
            }
            fclose(f);
        }
        if (file_epoch >= epoch) {
            /* Age counts from when it was seen here: the two computers' clocks need not agree. */
            epoch = file_epoch;
            lease_age_s = 0.0;
            if (strcmp(state, "idle") == 0) {
                strcpy(state, "watching");
                log_line("lease taken");
            }
        }
        lease_no++;
        sprintf(path, "%s/lease/%08d.lease", job, lease_no);
    }

    if (lease_age_s > lease_s && strcmp(state, "watching") == 0) {
        if (acquiring || heat_is_ours) {
            go_safe("lease", 0);
            halt_acquisition();
        } else {
            strcpy(state, "idle");    /* nothing of ours is on; the spectrometer belongs to others now */
            log_line("lease ended");
        }
    }
    return 0;
}

int follow_rearm()
{
    char path[300];

    if (tripped) {
        sprintf(path, "%s/guard/rearm.%04d", job, safe_no);
        if (finished(path)) {
            clear_safe("rearm");
        }
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- heartbeat */

int write_heartbeat()
{
    FILE *f;
    char path[300];
    int number;

    beat++;
    number = instance * 1000000 + beat;
    sprintf(path, "%s/guard/%08d.hb", job, number);
    f = fopen(path, "w");
    if (f != NULL) {
        fprintf(f, "seq=%d\nprogram=labctl_guard 1\ntime=%.0f\n", number, now_s);
        if (te_K > 0.0) {
            fprintf(f, "te_K=%.3f\n", te_K);
        }
        if (heater_percent >= 0.0) {
            fprintf(f, "heater_percent=%.2f\n", heater_percent);
        }
        if (gas_L_per_h >= 0.0) {
            fprintf(f, "gas_L_per_h=%.2f\n", gas_L_per_h);
        }
        if (spinning_Hz >= 0.0) {
            fprintf(f, "spinning_Hz=%.2f\n", spinning_Hz);
        }
        fprintf(f, "state=%s\nreason=%s\nneeds_person=%d\nheater_off=%d\n", state, reason, tripped, heater_off);
        fprintf(f, "safe_setpoint_K=%.3f\nacquiring=%d\nstep=%d\n", ramp_K, acquiring_expno, step_no);
        fprintf(f, "epoch=%d\nlease_age_s=%.0f\nlease=%d\nend\n", epoch, lease_age_s, lease_no - 1);
        fclose(f);
    }
    if (beat > 20) {
        sprintf(path, "%s/guard/%08d.hb", job, number - 20);
        remove(path);
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- main */

int take_up_where_the_last_guard_left()
{
    FILE *f;
    char path[300], line[250];

    instance = 1;
    sprintf(path, "%s/guard/start.%04d", job, instance);
    while (there(path)) {
        instance++;
        sprintf(path, "%s/guard/start.%04d", job, instance);
    }
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    fprintf(f, "program=labctl_guard 1\ntime=%.0f\nend\n", now_s);
    fclose(f);

    safe_no = 0;
    sprintf(path, "%s/guard/safe.%04d", job, 1);
    while (there(path)) {
        safe_no++;
        sprintf(path, "%s/guard/safe.%04d", job, safe_no + 1);
    }
    if (safe_no > 0) {
        sprintf(path, "%s/guard/clear.%04d", job, safe_no);
        if (!there(path)) {
            /* Restarting the guard does not re-arm anything. */
            strcpy(state, "safe");
            strcpy(reason, "still safe");
            sprintf(path, "%s/guard/safe.%04d", job, safe_no);
            f = fopen(path, "r");
            if (f != NULL) {
                while (fgets(line, 240, f) != NULL) {
                    sscanf(line, "needs_person=%d", &tripped);
                    sscanf(line, "reason=%[^\n]", reason);
                }
                fclose(f);
            }
            if (tripped) {
                switch_heater_off();
            }
        }
    }
    return 0;
}

int superseded()
{
    char path[300];

    sprintf(path, "%s/guard/start.%04d", job, instance + 1);
    return there(path);
}

int guard_main(char *folder)
{
    char path[300];

    strcpy(job, folder);
    poll_s = 5;
    lease_s = 600;
    log_s = 10;
    blind_s = 900;
    template_expno = 1;
    /* Until guard.cfg says more these allow nothing hot. */
    sensor_min_K = 273.15;
    sensor_max_K = 313.15;
    heater_max_percent = 30.0;
    gas_min_L_per_h = 0.0;
    spinning_min_Hz = 1000.0;
    spinning_tolerance_Hz = 100.0;
    safe_setpoint_K = 298.15;
    safe_ramp_K_per_min = 2.0;
    strcpy(data_dir, "");
    strcpy(scratch_dataset, "labctl-guard");
    strcpy(template_dataset, "labctl-templates");
    strcpy(heater_parameter, "none");
    strcpy(gas_readback, "vtu");
    strcpy(spinning_readback, "masrget");
    strcpy(halt_command, "halt");
    config_no = 0;
    epoch = 0;
    lease_no = 1;
    control_no = 1;
    step_no = 1;
    record_no = 1;
    acquiring = 0;
    acquiring_expno = 0;
    asked_halt = 0;
    orphan_no = 0;
    heat_is_ours = 0;
    expected_Hz = 0.0;
    beat = 0;
    tripped = 0;
    heater_off = 0;
    over_sensor = 0;
    under_sensor = 0;
    over_heater = 0;
    low_gas = 0;
    off_rate = 0;
    ramp_K = 0.0;
    arrived = 0;
    safe_age_s = 0.0;
    te_K = -1.0;
    heater_percent = -1.0;
    gas_L_per_h = -1.0;
    spinning_Hz = -1.0;
    te_blind_s = 0.0;
    spinning_blind_s = 0.0;
    elapsed_s = 0.0;
    lease_age_s = 0.0;
    last_log_s = 0.0;
    last_halt_s = 0.0;
    halts = 0;
    leave = 0;
    strcpy(state, "watching");
    strcpy(reason, "none");

    now_s = time(0);
    last_s = now_s;
    follow_configuration(1);
    if (epoch < 1) {    /* not even one that is whole: the first writer may have died half-way */
        Proc_err(ERROPT_AK_NO, "labctl_guard: no guard.cfg in %s", job);
        return -1;
    }

    /* No question and no message may ever wait for a click: these are reset at every start of TopSpin.
     * `can` answers "overwrite?" with no. */
    XCMD("setdef ackn no")
    XCMD("setdef quest can")

    if (take_up_where_the_last_guard_left() < 0) {
        Proc_err(ERROPT_AK_NO, "labctl_guard: cannot write to %s/guard", job);
        return -1;
    }

    /* The scratch dataset is made once, with the parameters of a template. TopSpin makes a dataset that is
     * missing from the one selected before, so a missing template must be noticed here. */
    sprintf(path, "%s/%s/%d/acqu", data_dir, template_dataset, template_expno);
    if (!there(path)) {
        Proc_err(ERROPT_AK_NO, "labctl_guard: no template dataset: %s", path);
        return -1;
    }
    DATASET(template_dataset, template_expno, 1, data_dir, user)
    DATASET(scratch_dataset, 1, 1, data_dir, user)

    while (!leave) {
        now_s = time(0);
        elapsed_s = now_s - last_s;
        last_s = now_s;
        if (elapsed_s < 0.0 || elapsed_s > lease_s) {
            /* The clock was set, or the computer slept: that is no time in which labctl was silent. */
            log_line("the clock jumped");
            elapsed_s = poll_s;
        }
        follow_configuration(0);
        follow_executor();
        read_instruments();
        follow_control();
        follow_lease();
        follow_rearm();
        judge();
        if (strcmp(state, "safe") == 0) {
            keep_safe();
        }
        write_heartbeat();
        if (now_s - last_log_s >= log_s || now_s < last_log_s) {
            log_line("");
            last_log_s = now_s;
        }
        if (superseded()) {
            log_line("a newer guard has been started; this one ends");
            leave = 1;
        }
        if (!leave) {
            sleep(poll_s);
        }
    }
    return 0;
}

/* `rearm`: a person says that rotor, gas and heater are in order. */
int rearm_main(char *folder)
{
    FILE *f;
    char path[300];
    int number;

    number = 0;
    sprintf(path, "%s/guard/safe.%04d", folder, 1);
    while (there(path)) {
        number++;
        sprintf(path, "%s/guard/safe.%04d", folder, number + 1);
    }
    sprintf(path, "%s/guard/rearm.%04d", folder, number);
    if (number > 0 && !there(path)) {
        f = fopen(path, "w");
        if (f == NULL) {
            return -1;
        }
        now_s = time(0);
        fprintf(f, "time=%.0f\nend\n", now_s);
        fclose(f);
    }
    return 0;
}
