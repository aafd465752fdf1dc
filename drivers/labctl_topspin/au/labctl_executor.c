/* labctl_executor: carries out the steps that labctl writes into its job folder, one at a time.
 *
 * Start (a person, at the console):              xau labctl_executor <job folder>
 * Say that the probe has been tuned (a person):  xau labctl_executor <job folder> tuned
 *
 * A step is a file steps/NNNNNN.step of key=value lines. For each, this program leaves status/NNNNNN.0001.begun,
 * then .progress files, then one .done or .failed. It has no opinion: what comes next, how often to try again
 * and what the data are worth is decided outside.
 *
 * What it holds to:
 *   - no dialog, ever: nobody is there to click;
 *   - it never acquires into an EXPNO that holds raw data, and never uses ZG_OVERWRITE;
 *   - it selects its dataset again immediately before ZG, whatever anybody clicks meanwhile;
 *   - it never starts, stops or ejects the rotor (no MASG, MASH, MASE), and heats only while rotor and gas are
 *     as they should be;
 *   - no TEREADY, which has no time-out: temperatures are polled, with a deadline;
 *   - a step is carried out once. After a restart, a step that was begun is reported as failed, not repeated;
 *   - steps of an engine that has been superseded (a lower epoch) are refused;
 *   - when the guard has gone safe it stops, and takes nothing up until the guard watches again.
 *
 * While it is inside ZG it is deaf, for up to 50 hours. That is why labctl_guard exists.
 *
 * Files are numbered and end with a line `end`; a file without it is still being written and is left alone.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>

int executor_main(char *folder);
int tuned_main(char *folder);

char job_folder[250];
int word, tuned;

/* The arguments are joined again: a job folder may have blanks in its path. */
strcpy(job_folder, "");
tuned = 0;
for (word = 2; word < i_argc; word++) {
    if (word > 2 && word == i_argc - 1 && strcmp(i_argv[word], "tuned") == 0) {
        tuned = 1;
    } else {
        if (word > 2) {
            strcat(job_folder, " ");
        }
        strcat(job_folder, i_argv[word]);
    }
}
if (tuned) {
    AUERR = tuned_main(job_folder);
} else {
    AUERR = executor_main(job_folder);
}
QUIT

/* ------------------------------------------------------------------------------------------- what it knows */

char job[250];
int instance;              /* how many executors have been started on this job folder, this one included */
int beat;

/* guard.cfg */
int config_no, epoch, poll_s, idle_s, ramp_poll_s;
double sensor_min_K, sensor_max_K, gas_min_L_per_h, spinning_min_Hz, ramp_max_K_per_min;
char data_dir[250], scratch_dataset[250], template_dataset[250];
char gas_readback[250], spinning_readback[250];
int template_expno;
int control_no, seq;       /* the next of each that has not been read */

/* readings; -1 where there is none */
double te_K, gas_L_per_h, spinning_Hz;

double now_s, last_s, elapsed_s;

/* the step in hand */
int record_no, step_epoch, stop_asked, leave;
int halt_seq;              /* the last step that labctl asked to end */
int safe_asked;            /* labctl asked for the safe state and has not said `run` since */
int repeated;              /* this token was begun before, by an executor that was lost on the way */
char token[250], action[250], title[250], error[250], stop_why[250];
double setpoint_K, ramp_K_per_min, within_K, hold_s, give_up_s;
double rate_Hz, tolerance_Hz;
char mode[250];
char kind[250], dataset[250], pulse_program[250], nucleus[250], vd_list[250], vp_list[250];
int target_expno, source_expno, scans, dummy_scans, points, rows, fnmode, nd0;
double recycle_delay_s, spectral_width_Hz, carrier_ppm, pulse_us, receiver_gain, increment_us, mixing_time_s;
double recovery_s;
int recovery_delay_no, comb_pulses, comb_loop_no;
char wrong_parameter[250];

int heater_may_start;      /* a person is known to be about, or this program switched the heater off itself */
int cleared_no;            /* number of the last guard/clear.NNNN seen */

/* readings around an acquisition */
double te_before_K, te_after_K, spinning_before_Hz, spinning_after_Hz;
int zg_result;

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
        sscanf(line, "idle_s=%d", &idle_s);
        sscanf(line, "ramp_poll_s=%d", &ramp_poll_s);
        sscanf(line, "sensor_min_K=%lf", &sensor_min_K);
        sscanf(line, "sensor_max_K=%lf", &sensor_max_K);
        sscanf(line, "gas_min_L_per_h=%lf", &gas_min_L_per_h);
        sscanf(line, "spinning_min_Hz=%lf", &spinning_min_Hz);
        sscanf(line, "ramp_max_K_per_min=%lf", &ramp_max_K_per_min);
        sscanf(line, "data_dir=%[^\n]", data_dir);
        sscanf(line, "executor_dataset=%[^\n]", scratch_dataset);
        sscanf(line, "template_dataset=%[^\n]", template_dataset);
        sscanf(line, "template_expno=%d", &template_expno);
        sscanf(line, "gas_readback=%[^\n]", gas_readback);
        sscanf(line, "spinning_readback=%[^\n]", spinning_readback);
        if (at_start) {
            sscanf(line, "control_next=%d", &control_no);
            sscanf(line, "step_next=%d", &seq);
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

/* ------------------------------------------------------------------------------------------------- control */

int read_control(char *path)
{
    FILE *f;
    char line[250], verb[250];
    int file_epoch, file_seq;

    strcpy(verb, "");
    file_epoch = 0;
    file_seq = 0;
    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, 240, f) != NULL) {
        sscanf(line, "verb=%[^\n]", verb);
        sscanf(line, "epoch=%d", &file_epoch);
        sscanf(line, "seq=%d", &file_seq);
    }
    fclose(f);
    if (file_epoch < epoch) {
        return 0;
    }
    epoch = file_epoch;
    if (strcmp(verb, "halt") == 0) {
        halt_seq = file_seq;
    }
    if (strcmp(verb, "safe") == 0) {
        safe_asked = 1;
    }
    if (strcmp(verb, "run") == 0) {
        safe_asked = 0;
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
    return 0;
}

/* 1 while the guard is safe and nobody has said otherwise. */
int guard_is_safe()
{
    char path[300];
    int number;

    number = cleared_no;
    sprintf(path, "%s/guard/safe.%04d", job, number + 1);
    while (there(path)) {
        number++;
        sprintf(path, "%s/guard/clear.%04d", job, number);
        if (there(path)) {
            cleared_no = number;
            heater_may_start = 1;    /* somebody has re-armed, or resumed the campaign */
        }
        sprintf(path, "%s/guard/safe.%04d", job, number + 1);
    }
    return number > cleared_no;
}

/* Whether the step in hand must end now; `stop_why` says why. */
int interrupted()
{
    follow_control();
    stop_asked = 0;
    if (leave) {
        stop_asked = 1;
        strcpy(stop_why, "labctl_executor was asked to quit");
    }
    if (halt_seq == seq) {
        stop_asked = 1;
        strcpy(stop_why, "stopped by labctl");
    }
    if (safe_asked) {
        stop_asked = 1;
        strcpy(stop_why, "labctl asked for the safe state");
    }
    if (guard_is_safe()) {
        stop_asked = 1;
        strcpy(stop_why, "the guard has gone safe");
    }
    return stop_asked;
}

/* ------------------------------------------------------------------------------------------------ readings */

/* The status parameter is emptied before it is asked for, so that a failed read-back shows as no reading. */
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
        if (AUERR >= 0 && te > 50.0 && te < 700.0) {
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
    return 0;
}

int tick()
{
    now_s = time(0);
    elapsed_s = now_s - last_s;
    last_s = now_s;
    if (elapsed_s < 0.0 || elapsed_s > 600.0) {
        elapsed_s = 0.0;    /* the clock was set or the computer slept: neither soaks a sample */
    }
    return 0;
}

int send_setpoint(double setpoint)
{
    DATASET(scratch_dataset, 1, 1, data_dir, user)
    STOREPAR("TE", setpoint)
    if (AUERR < 0) {
        return AUERR;    /* a full disk, most often: TESET would send the set point before this one again */
    }
    TESET
    return AUERR;
}

/* ------------------------------------------------------------------------------------------- status records */

/* ending: begun | progress | done | failed. `fraction` below 0: not known. */
int report(char *ending, char *phase, double fraction, char *needs_person)
{
    FILE *f;
    char path[320];

    record_no++;
    sprintf(path, "%s/status/%06d.%04d.%s", job, seq, record_no, ending);
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    now_s = time(0);
    fprintf(f, "seq=%d\ntoken=%s\nepoch=%d\naction=%s\nphase=%s\ntime=%.0f\nexecutor=%d\n", seq, token, step_epoch,
            action, phase, now_s, instance);
    if (te_K > 0.0) {
        fprintf(f, "te_K=%.3f\n", te_K);
    }
    if (fraction >= 0.0) {
        fprintf(f, "fraction=%.4f\n", fraction);
    }
    if (strlen(needs_person) > 0) {
        fprintf(f, "needs_person=%s\n", needs_person);
    }
    if (strcmp(action, "check_spinning") == 0) {
        fprintf(f, "spinning_Hz=%.1f\n", rate_Hz);
        fprintf(f, "spinning_seen_Hz=%.1f\n", spinning_Hz);
    }
    if (strcmp(action, "acquire") == 0) {
        fprintf(f, "dataset=%s\nexpno=%d\nspinning_Hz=%.1f\n", dataset, target_expno, rate_Hz);
        if (te_before_K > 0.0) {
            fprintf(f, "te_before_K=%.3f\nspinning_before_Hz=%.1f\n", te_before_K, spinning_before_Hz);
        }
        if (te_after_K > 0.0) {
            fprintf(f, "te_after_K=%.3f\nspinning_after_Hz=%.1f\n", te_after_K, spinning_after_Hz);
        }
        if (strcmp(phase, "done") == 0) {
            fprintf(f, "auerr=%d\n", zg_result);
        }
    }
    if (strcmp(ending, "failed") == 0) {
        fprintf(f, "error=%s\n", error);
    }
    fprintf(f, "end\n");
    fclose(f);
    return 0;
}

/* Failing has one form: say why, return -1. */
int fail(char *why)
{
    strcpy(error, why);
    return -1;
}

/* ----------------------------------------------------------------------------------------------- temperature */

/* Rotor and gas as they must be before and during heat. */
int fit_for_heat()
{
    if (te_K < 0.0) {
        return fail("the temperature cannot be read");
    }
    if (spinning_Hz < 0.0) {
        return fail("the spinning rate cannot be read");
    }
    if (spinning_Hz < spinning_min_Hz) {
        return fail("the rotor does not spin: a person looks at it before any heat");
    }
    if (gas_L_per_h >= 0.0 && gas_L_per_h < gas_min_L_per_h) {
        return fail("the gas flow is below its limit");
    }
    return 0;
}

/* Move the set point in small steps. The ramp starts from what the sensor reads, not from the last set point
 * anybody sent, so that it is never a jump. */
int ramp_setpoint(int needs_rotor)
{
    double at_K, from_K, step_K, waited_s, last_report_s, same_K, same_from_K;

    from_K = te_K;
    at_K = te_K;
    same_K = te_K;
    same_from_K = at_K;
    waited_s = 0.0;
    now_s = time(0);
    last_s = now_s;
    last_report_s = now_s;
    while (at_K != setpoint_K) {
        if (interrupted()) {
            return fail(stop_why);
        }
        step_K = ramp_K_per_min * ramp_poll_s / 60.0;
        if (fabs(setpoint_K - at_K) <= step_K) {
            at_K = setpoint_K;
        } else {
            at_K = setpoint_K > at_K ? at_K + step_K : at_K - step_K;
        }
        if (send_setpoint(at_K) < 0) {
            return fail("the set point could not be sent: the VT unit does not answer, or the data disk is full");
        }
        if (at_K != setpoint_K) {
            sleep(ramp_poll_s);
            read_instruments();
            if (needs_rotor && fit_for_heat() < 0) {
                return -1;
            }
            /* While the set point walks, a reading that is the same to its last digit is an old one. */
            if (te_K != same_K) {
                same_K = te_K;
                same_from_K = at_K;
            }
            if (needs_rotor && fabs(at_K - same_from_K) >= 5.0) {
                return fail("the temperature reading no longer changes: nobody knows how hot it is. Look at the sensor");
            }
            if (needs_rotor && at_K > from_K && te_K < at_K - 10.0 - 2.0 * ramp_K_per_min) {
                return fail("the sensor stays behind the set point: the heater does not heat. Look why before any heat");
            }
            tick();
            waited_s = waited_s + elapsed_s;
            if (give_up_s > 0.0 && waited_s >= give_up_s) {
                return fail("the ramp did not end in time");
            }
            if (now_s - last_report_s >= 60.0) {
                report("progress", "ramping", fabs(at_K - from_K) / fabs(setpoint_K - from_K), "");
                last_report_s = now_s;
            }
        }
    }
    send_setpoint(setpoint_K);
    return 0;
}

int check_setpoint()
{
    if (setpoint_K < sensor_min_K || setpoint_K > sensor_max_K) {
        return fail("the set point is outside the limits of the lab file");
    }
    if (ramp_K_per_min <= 0.0 || ramp_K_per_min > ramp_max_K_per_min) {
        return fail("the ramp is steeper than the lab file allows");
    }
    return 0;
}

int set_temperature()
{
    if (check_setpoint() < 0) {
        return -1;
    }
    read_instruments();
    if (fit_for_heat() < 0) {
        return -1;
    }
    if (heater_may_start) {
        VTU_HEATER("on")
        heater_may_start = 0;
    }
    return ramp_setpoint(1);
}

/* `hold_s` on end inside the band. There is no credit for time that nobody saw. */
int await_stable()
{
    double held_s, waited_s, last_report_s;

    held_s = 0.0;
    waited_s = 0.0;
    now_s = time(0);
    last_s = now_s;
    last_report_s = now_s;
    while (1) {
        if (interrupted()) {
            return fail(stop_why);
        }
        read_instruments();
        tick();
        waited_s = waited_s + elapsed_s;
        if (te_K > 0.0 && fabs(te_K - setpoint_K) <= within_K) {
            held_s = held_s + elapsed_s;
        } else {
            held_s = 0.0;
        }
        if (held_s >= hold_s) {
            return 0;
        }
        if (waited_s >= give_up_s) {
            return fail("the temperature did not settle in time");
        }
        if (now_s - last_report_s >= 60.0) {
            report("progress", "settling", hold_s > 0.0 ? held_s / hold_s : 0.0, "");
            last_report_s = now_s;
        }
        sleep(poll_s);
    }
    return 0;
}

/* The end of heat. The heater goes off in any case; gas and rotor are left as they are. */
int cool_down()
{
    double waited_s, last_report_s;
    int ramped;

    read_instruments();
    ramped = 0;
    if (check_setpoint() < 0 || te_K < 0.0) {
        give_up_s = 0.0;    /* no ramp is possible: straight to heater off */
    } else {
        ramped = ramp_setpoint(0);
    }
    waited_s = 0.0;
    now_s = time(0);
    last_s = now_s;
    last_report_s = now_s;
    while (ramped == 0 && te_K > setpoint_K + 5.0 && waited_s < give_up_s) {
        if (interrupted()) {
            ramped = fail(stop_why);
        } else {
            sleep(poll_s);
            read_instruments();
            tick();
            waited_s = waited_s + elapsed_s;
            if (now_s - last_report_s >= 60.0) {
                report("progress", "cooling", -1.0, "");
                last_report_s = now_s;
            }
        }
    }
    if (ramped < 0) {
        return -1;    /* the guard has taken over, or a person: it is theirs now */
    }
    VTU_HEATER("off")
    if (AUERR < 0) {
        return fail("the heater could not be switched off");
    }
    heater_may_start = 1;
    if (te_K < 0.0) {
        return fail("heater off, but the temperature cannot be read");
    }
    if (te_K > setpoint_K + 5.0) {
        return fail("heater off, but the sensor has not come down in time");
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------- spinning */

/* Looks, and waits for a rate that is settling. Never spins up. */
int check_spinning()
{
    double waited_s;
    int good;

    waited_s = 0.0;
    good = 0;
    now_s = time(0);
    last_s = now_s;
    while (1) {
        read_instruments();
        tick();
        waited_s = waited_s + elapsed_s;
        if (spinning_Hz >= 0.0 && fabs(spinning_Hz - rate_Hz) <= tolerance_Hz) {
            good++;
        } else {
            good = 0;
        }
        if (good >= 3) {
            return 0;
        }
        if (waited_s >= give_up_s) {
            return fail("the rotor does not spin at the rate asked for: a person sets it");
        }
        if (interrupted()) {
            return fail(stop_why);
        }
        sleep(poll_s);
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------------- tuning */

int tune()
{
    double waited_s;
    char path[300];

    if (strcmp(mode, "atma") == 0) {
        DATASET(scratch_dataset, 1, 1, data_dir, user)
        ATMA
        if (AUERR < 0) {
            return fail("atma failed");
        }
        return 0;
    }
    waited_s = 0.0;
    now_s = time(0);
    last_s = now_s;
    read_instruments();
    report("progress", "waiting for a person", -1.0, "tune the probe, then type: xau labctl_executor <job folder> tuned");
    sprintf(path, "%s/operator/%06d.answer", job, seq);
    while (!finished(path)) {
        if (interrupted()) {
            return fail(stop_why);
        }
        tick();
        waited_s = waited_s + elapsed_s;
        if (waited_s >= give_up_s) {
            return fail("nobody tuned the probe in time");
        }
        sleep(poll_s);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------- acquisition */

int raw_data_there()
{
    char path[600];

    sprintf(path, "%s/%s/%d/fid", data_dir, dataset, target_expno);
    if (there(path)) {
        return 1;
    }
    sprintf(path, "%s/%s/%d/ser", data_dir, dataset, target_expno);
    return there(path);
}

/* 1: the target is ours or is not there; 0: somebody else's. */
int target_is_ours()
{
    FILE *f;
    char path[600], line[250];
    int ours;

    sprintf(path, "%s/%s/%d/acqu", data_dir, dataset, target_expno);
    if (!there(path)) {
        return 1;
    }
    sprintf(path, "%s/%s/%d/pdata/1/title", data_dir, dataset, target_expno);
    ours = 0;
    f = fopen(path, "r");
    if (f != NULL) {
        while (fgets(line, 240, f) != NULL) {
            if (strstr(line, token) != NULL) {
                ours = 1;
            }
        }
        fclose(f);
    }
    return ours;
}

/* Remember the first parameter that TopSpin refused. */
int stored(char *parameter)
{
    if (AUERR < 0 && strlen(wrong_parameter) == 0) {
        strcpy(wrong_parameter, parameter);
    }
    return 0;
}

int select_target()
{
    DATASET(dataset, target_expno, 1, data_dir, user)
    return AUERR;
}

int store_f2()
{
    double BF1_MHz, O1_Hz, SFO1_MHz, value;
    int rate;

    BF1_MHz = 0.0;
    FETCHPAR("BF1", &BF1_MHz)
    stored("BF1");
    O1_Hz = carrier_ppm * BF1_MHz;
    SFO1_MHz = BF1_MHz + O1_Hz * 0.000001;
    STOREPAR("O1", O1_Hz)
    stored("O1");
    STOREPAR("SFO1", SFO1_MHz)
    stored("SFO1");
    STOREPAR("TD", points)
    stored("TD");
    STOREPAR("SW_h", spectral_width_Hz)
    stored("SW_h");
    value = SFO1_MHz > 0.0 ? spectral_width_Hz / SFO1_MHz : 0.0;
    STOREPAR("SW", value)
    stored("SW");
    STOREPAR("NS", scans)
    stored("NS");
    STOREPAR("DS", dummy_scans)
    stored("DS");
    STOREPAR("D 1", recycle_delay_s)
    stored("D 1");
    STOREPAR("P 1", pulse_us)
    stored("P 1");
    if (receiver_gain > 0.0) {
        STOREPAR("RG", receiver_gain)
        stored("RG");
    }
    STOREPAR("TE", setpoint_K)
    stored("TE");
    STOREPAR("CNST 31", rate_Hz)
    stored("CNST 31");
    rate = rate_Hz + 0.5;
    STOREPAR("MASR", rate)
    stored("MASR");
    return 0;
}

/* STOREPAR sets one parameter and nothing that follows from it, so the whole family is stored. */
int store_f1()
{
    double SFO1_MHz, BF1_MHz, O1_Hz, width_Hz, width_ppm, delay_s;
    char text[250];

    STOREPARN(1, "TD", rows)
    stored("TD of F1");
    STOREPARN(1, "FnMODE", fnmode)
    stored("FnMODE");
    if (strcmp(kind, "exsy") == 0) {
        STOREPAR("D 8", mixing_time_s)
        stored("D 8");
        width_Hz = 1000000.0 / increment_us;
        FETCHPAR("SFO1", &SFO1_MHz)
        FETCHPAR("BF1", &BF1_MHz)
        FETCHPAR("O1", &O1_Hz)
        FETCHPAR("NUC1", text)
        width_ppm = SFO1_MHz > 0.0 ? width_Hz / SFO1_MHz : 0.0;
        STOREPARN(1, "SW_h", width_Hz)
        stored("SW_h of F1");
        STOREPARN(1, "SW", width_ppm)
        stored("SW of F1");
        STOREPARN(1, "BF1", BF1_MHz)
        STOREPARN(1, "O1", O1_Hz)
        STOREPARN(1, "SFO1", SFO1_MHz)
        stored("SFO1 of F1");
        STOREPARN(1, "NUC1", text)
        stored("NUC1 of F1");
        STOREPAR("INF 1", increment_us)    /* shown as IN_F in the F1 column */
        stored("INF 1");
        delay_s = increment_us * 0.000001 / nd0;
        STOREPAR("IN 0", delay_s)
        stored("IN 0");
        if (comb_loop_no >= 0) {
            sprintf(text, "L %d", comb_loop_no);
            STOREPAR(text, comb_pulses)
            stored("pulses of the saturation comb");
        }
    }
    if (strlen(vd_list) > 0) {
        STOREPAR("VDLIST", vd_list)
        stored("VDLIST");
    }
    if (strlen(vp_list) > 0) {
        STOREPAR("VPLIST", vp_list)
        stored("VPLIST");
        if (recovery_delay_no >= 0) {
            sprintf(text, "D %d", recovery_delay_no);
            STOREPAR(text, recovery_s)
            stored("recovery delay");
        }
    }
    return 0;
}

/* The template carries pulse program, powers and phases as the lab calibrated them; the step changes what it
 * names, and what it takes for granted is compared. */
int prepare()
{
    FILE *f;
    char path[600], text[250];
    int parmode;

    if (raw_data_there()) {
        return fail("the target EXPNO holds raw data; nothing was touched");
    }
    if (!target_is_ours() && !repeated) {
        return fail("the target EXPNO is somebody else's; nothing was touched");
    }
    sprintf(path, "%s/%s/%d/acqu", data_dir, template_dataset, source_expno);
    if (!there(path)) {
        return fail("the template dataset is not there");
    }
    /* A dataset that is missing is made from the one selected before: select the template first. */
    DATASET(template_dataset, source_expno, 1, data_dir, user)
    if (AUERR < 0) {
        return fail("the template dataset cannot be selected");
    }
    if (select_target() < 0) {
        return fail("the target EXPNO cannot be made");
    }
    sprintf(path, "%s/%s/%d/pdata/1/title", data_dir, dataset, target_expno);
    f = fopen(path, "w");
    if (f == NULL) {
        return fail("the title of the target EXPNO cannot be written");
    }
    fprintf(f, "%s\n", title);
    fclose(f);

    strcpy(text, "");
    FETCHPAR("PULPROG", text)
    if (AUERR < 0 || strcmp(text, pulse_program) != 0) {
        return fail("the template carries another pulse program than the lab file says");
    }
    strcpy(text, "");
    FETCHPAR("NUC1", text)
    if (AUERR < 0 || strcmp(text, nucleus) != 0) {
        return fail("the template is set up for another nucleus");
    }
    parmode = -1;
    FETCHPAR("PARMODE", &parmode)
    if (AUERR < 0 || parmode != (rows > 0 ? 1 : 0)) {
        return fail("the template has another number of dimensions");
    }
    strcpy(wrong_parameter, "");
    store_f2();
    if (rows > 0) {
        store_f1();
    }
    if (strlen(wrong_parameter) > 0) {
        sprintf(text, "TopSpin refused the parameter %s", wrong_parameter);
        return fail(text);
    }
    return 0;
}

/* ZG that is refused at once touched nothing: most often somebody acquires something of their own. That ends. */
int start_zg()
{
    int tries;
    double begun_s, waited_s;

    for (tries = 0; tries < 60; tries++) {
        report("progress", "acquiring", -1.0, "");
        if (raw_data_there()) {
            return fail("the target EXPNO holds raw data; nothing was touched");
        }
        if (select_target() < 0) {
            return fail("the target EXPNO cannot be selected");
        }
        begun_s = time(0);
        ZG
        zg_result = AUERR;
        now_s = time(0);
        if (zg_result >= 0 || raw_data_there() || now_s - begun_s > 10.0) {
            return 0;
        }
        report("progress", "waiting for zg", -1.0, "zg is refused: does somebody else acquire? It is tried again every minute, for an hour");
        waited_s = 0.0;
        last_s = now_s;
        while (waited_s < 60.0) {
            if (interrupted()) {
                return fail(stop_why);
            }
            sleep(poll_s);
            tick();
            waited_s = waited_s + elapsed_s;
        }
    }
    return 0;
}

int acquire()
{
    te_before_K = -1.0;
    te_after_K = -1.0;
    zg_result = 0;
    if (prepare() < 0) {
        return -1;
    }
    /* On the scratch dataset, so that nothing but zg writes to the target. */
    read_instruments();
    te_before_K = te_K;
    spinning_before_Hz = spinning_Hz;
    if (te_K < 0.0 && setpoint_K > 303.0) {
        return fail("the temperature cannot be read");
    }
    if (rate_Hz > 0.0 && (spinning_Hz < 0.0 || fabs(spinning_Hz - rate_Hz) > tolerance_Hz)) {
        return fail("the rotor is off its rate");
    }
    if (interrupted()) {
        return fail(stop_why);
    }
    if (start_zg() < 0) {
        return -1;
    }
    read_instruments();
    te_after_K = te_K;
    spinning_after_Hz = spinning_Hz;
    if (!raw_data_there()) {
        sprintf(error, "zg left no raw data (AUERR %d)", zg_result);
        return -1;
    }
    return 0;    /* what the data are worth, audit trail and sizes will tell */
}

/* ----------------------------------------------------------------------------------------------------- steps */

int read_step(char *path)
{
    FILE *f;
    char line[250];

    strcpy(token, "none");
    strcpy(action, "none");
    strcpy(title, "");
    strcpy(error, "");
    strcpy(stop_why, "");
    strcpy(mode, "operator");
    strcpy(kind, "");
    strcpy(dataset, "");
    strcpy(pulse_program, "");
    strcpy(nucleus, "");
    strcpy(vd_list, "");
    strcpy(vp_list, "");
    record_no = 0;
    step_epoch = 0;
    repeated = 0;
    te_before_K = -1.0;
    te_after_K = -1.0;
    spinning_before_Hz = -1.0;
    spinning_after_Hz = -1.0;
    setpoint_K = 298.15;
    ramp_K_per_min = 0.0;
    within_K = 0.5;
    hold_s = 0.0;
    give_up_s = 0.0;
    rate_Hz = 0.0;
    tolerance_Hz = 0.0;
    target_expno = 0;
    source_expno = 0;
    scans = 0;
    dummy_scans = 0;
    points = 0;
    rows = 0;
    fnmode = 1;
    nd0 = 1;
    recycle_delay_s = 0.0;
    spectral_width_Hz = 0.0;
    carrier_ppm = 0.0;
    pulse_us = 0.0;
    receiver_gain = 0.0;
    increment_us = 0.0;
    mixing_time_s = 0.0;
    recovery_s = 0.0;
    recovery_delay_no = -1;
    comb_pulses = 0;
    comb_loop_no = -1;
    f = fopen(path, "r");
    if (f == NULL) {
        return -1;
    }
    while (fgets(line, 240, f) != NULL) {
        sscanf(line, "token=%[^\n]", token);
        sscanf(line, "epoch=%d", &step_epoch);
        sscanf(line, "action=%[^\n]", action);
        sscanf(line, "title=%[^\n]", title);
        sscanf(line, "setpoint_K=%lf", &setpoint_K);
        sscanf(line, "ramp_K_per_min=%lf", &ramp_K_per_min);
        sscanf(line, "within_K=%lf", &within_K);
        sscanf(line, "hold_s=%lf", &hold_s);
        sscanf(line, "give_up_s=%lf", &give_up_s);
        sscanf(line, "spinning_Hz=%lf", &rate_Hz);
        sscanf(line, "spinning_tolerance_Hz=%lf", &tolerance_Hz);
        sscanf(line, "mode=%[^\n]", mode);
        sscanf(line, "kind=%[^\n]", kind);
        sscanf(line, "dataset=%[^\n]", dataset);
        sscanf(line, "expno=%d", &target_expno);
        sscanf(line, "template_expno=%d", &source_expno);
        sscanf(line, "pulse_program=%[^\n]", pulse_program);
        sscanf(line, "nucleus=%[^\n]", nucleus);
        sscanf(line, "scans=%d", &scans);
        sscanf(line, "dummy_scans=%d", &dummy_scans);
        sscanf(line, "points=%d", &points);
        sscanf(line, "rows=%d", &rows);
        sscanf(line, "fnmode=%d", &fnmode);
        sscanf(line, "recycle_delay_s=%lf", &recycle_delay_s);
        sscanf(line, "spectral_width_Hz=%lf", &spectral_width_Hz);
        sscanf(line, "carrier_ppm=%lf", &carrier_ppm);
        sscanf(line, "pulse_us=%lf", &pulse_us);
        sscanf(line, "receiver_gain=%lf", &receiver_gain);
        sscanf(line, "increment_us=%lf", &increment_us);
        sscanf(line, "nd0=%d", &nd0);
        sscanf(line, "mixing_time_s=%lf", &mixing_time_s);
        sscanf(line, "vd_list=%[^\n]", vd_list);
        sscanf(line, "vp_list=%[^\n]", vp_list);
        sscanf(line, "recovery_s=%lf", &recovery_s);
        sscanf(line, "recovery_delay_no=%d", &recovery_delay_no);
        sscanf(line, "comb_pulses=%d", &comb_pulses);
        sscanf(line, "comb_loop_no=%d", &comb_loop_no);
    }
    fclose(f);
    return 0;
}

/* Whether the last record of an earlier step says that its executor was lost. */
int was_orphaned(int earlier)
{
    FILE *f;
    char stem[300], path[320], line[250];
    int number, orphaned;

    orphaned = 0;
    number = 1;
    sprintf(stem, "%s/status/%06d.%04d", job, earlier, number);
    sprintf(path, "%s.begun", stem);
    while (there(path)) {
        number++;
        sprintf(stem, "%s/status/%06d.%04d", job, earlier, number);
        sprintf(path, "%s.progress", stem);
    }
    sprintf(path, "%s.failed", stem);
    f = fopen(path, "r");
    if (f != NULL) {
        while (fgets(line, 240, f) != NULL) {
            if (strncmp(line, "phase=orphaned", 14) == 0) {
                orphaned = 1;
            }
        }
        fclose(f);
    }
    return orphaned;
}

/* A token is carried out once, whichever step file brings it. Only what an executor was lost over may be taken
 * up again; an acquisition then still refuses to go where there are raw data. */
int claim_token()
{
    FILE *f;
    char path[600], line[250];
    int earlier;

    sprintf(path, "%s/tokens/%s", job, token);
    earlier = 0;
    f = fopen(path, "r");
    if (f != NULL) {
        while (fgets(line, 240, f) != NULL) {
            sscanf(line, "seq=%d", &earlier);
        }
        fclose(f);
        if (!was_orphaned(earlier)) {
            return fail("this order has been carried out before");
        }
        repeated = 1;
    }
    f = fopen(path, "w");
    if (f == NULL) {
        return fail("the job folder cannot be written");
    }
    fprintf(f, "seq=%d\nend\n", seq);
    fclose(f);
    return 0;
}

/* The guard may need a poll or two to see that a person resumed. */
int await_clear_guard()
{
    int tries;

    follow_control();
    for (tries = 0; (safe_asked || guard_is_safe()) && tries < 12; tries++) {
        sleep(poll_s);
        follow_control();
    }
    if (safe_asked || guard_is_safe()) {
        return fail("the guard is in its safe state: resume, or after a trip re-arm it at the console");
    }
    return 0;
}

int refuse()
{
    if (step_epoch < epoch) {
        return fail("the order comes from an engine that has been superseded");
    }
    epoch = step_epoch;
    if (await_clear_guard() < 0) {
        return -1;
    }
    return claim_token();
}

int perform()
{
    if (strcmp(action, "set_temperature") == 0) {
        return set_temperature();
    }
    if (strcmp(action, "await_stable") == 0) {
        return await_stable();
    }
    if (strcmp(action, "check_spinning") == 0) {
        return check_spinning();
    }
    if (strcmp(action, "tune") == 0) {
        return tune();
    }
    if (strcmp(action, "acquire") == 0) {
        return acquire();
    }
    if (strcmp(action, "cool_down") == 0) {
        return cool_down();
    }
    return fail("unknown action");
}

int carry_out(char *path)
{
    read_step(path);
    if (refuse() < 0) {
        report("failed", "refused", -1.0, "");
        return 0;
    }
    report("begun", "begun", -1.0, "");
    if (perform() < 0) {
        report("failed", "failed", -1.0, "");
    } else {
        report("done", "done", -1.0, "");
    }
    return 0;
}

/* Begun by an executor that is gone: it is not known how far it came, so it is not repeated. */
int close_orphan(char *step_path)
{
    char stem[300], path[320];
    int number, open;

    number = 1;
    open = 1;
    sprintf(stem, "%s/status/%06d.%04d", job, seq, number);
    while (open > 0) {
        open = 0;
        sprintf(path, "%s.begun", stem);
        if (there(path)) {
            open = 1;
        }
        sprintf(path, "%s.progress", stem);
        if (there(path)) {
            open = 1;
        }
        sprintf(path, "%s.done", stem);
        if (finished(path)) {
            open = -1;
        }
        sprintf(path, "%s.failed", stem);
        if (finished(path)) {
            open = -1;
        }
        number++;
        sprintf(stem, "%s/status/%06d.%04d", job, seq, number);
    }
    if (open == 0) {
        read_step(step_path);
        record_no = number - 2;
        te_K = -1.0;
        fail("the executor was restarted during this step");
        report("failed", "orphaned", -1.0, "");
    }
    return 0;
}

/* 1 if a step was dealt with. */
int next_step()
{
    char path[300], begun[300], later[300];

    sprintf(path, "%s/steps/%06d.step", job, seq);
    sprintf(begun, "%s/status/%06d.0001.begun", job, seq);
    if (!there(begun)) {
        sprintf(begun, "%s/status/%06d.0001.failed", job, seq);
    }
    if (there(begun)) {
        close_orphan(path);
        seq++;
        return 1;
    }
    if (finished(path)) {
        carry_out(path);
        seq++;
        return 1;
    }
    sprintf(later, "%s/steps/%06d.step", job, seq + 1);
    if (there(later)) {
        read_step(path);
        fail("the step file is not complete");
        report("failed", "refused", -1.0, "");
        seq++;
        return 1;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------ main */

int write_heartbeat()
{
    FILE *f;
    char path[300];
    int number;

    beat++;
    number = instance * 1000000 + beat;
    now_s = time(0);
    sprintf(path, "%s/executor/%08d.hb", job, number);
    f = fopen(path, "w");
    if (f != NULL) {
        fprintf(f, "seq=%d\nprogram=labctl_executor 1\ntime=%.0f\nnext_step=%d\nend\n", number, now_s, seq);
        fclose(f);
    }
    if (beat > 3) {
        sprintf(path, "%s/executor/%08d.hb", job, number - 3);
        remove(path);
    }
    return 0;
}

int claim_instance()
{
    FILE *f;
    char path[300];

    instance = 1;
    sprintf(path, "%s/executor/start.%04d", job, instance);
    while (there(path)) {
        instance++;
        sprintf(path, "%s/executor/start.%04d", job, instance);
    }
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    fprintf(f, "program=labctl_executor 1\ntime=%.0f\nend\n", now_s);
    fclose(f);
    return 0;
}

int superseded()
{
    char path[300];

    sprintf(path, "%s/executor/start.%04d", job, instance + 1);
    return there(path);
}

int executor_main(char *folder)
{
    char path[600];
    double last_beat_s;

    strcpy(job, folder);
    poll_s = 5;
    idle_s = 1;
    ramp_poll_s = 10;
    template_expno = 1;
    /* Until guard.cfg says more these allow nothing hot. */
    sensor_min_K = 273.15;
    sensor_max_K = 313.15;
    gas_min_L_per_h = 0.0;
    spinning_min_Hz = 1000.0;
    ramp_max_K_per_min = 2.0;
    strcpy(data_dir, "");
    strcpy(scratch_dataset, "labctl-executor");
    strcpy(template_dataset, "labctl-templates");
    strcpy(gas_readback, "vtu");
    strcpy(spinning_readback, "masrget");
    config_no = 0;
    epoch = 0;
    control_no = 1;
    seq = 1;
    beat = 0;
    stop_asked = 0;
    leave = 0;
    halt_seq = 0;
    safe_asked = 0;
    repeated = 0;
    cleared_no = 0;
    heater_may_start = 1;    /* a person has just started this program */
    te_K = -1.0;
    gas_L_per_h = -1.0;
    spinning_Hz = -1.0;
    now_s = time(0);
    last_s = now_s;

    follow_configuration(1);
    if (epoch < 1) {    /* not even one that is whole: the first writer may have died half-way */
        Proc_err(ERROPT_AK_NO, "labctl_executor: no guard.cfg in %s", job);
        return -1;
    }

    /* No question and no message may ever wait for a click: these are reset at every start of TopSpin.
     * `can` answers "overwrite?" with no. */
    XCMD("setdef ackn no")
    XCMD("setdef quest can")

    if (claim_instance() < 0) {
        Proc_err(ERROPT_AK_NO, "labctl_executor: cannot write to %s/executor", job);
        return -1;
    }
    sprintf(path, "%s/%s/%d/acqu", data_dir, template_dataset, template_expno);
    if (!there(path)) {
        Proc_err(ERROPT_AK_NO, "labctl_executor: no template dataset: %s", path);
        return -1;
    }
    DATASET(template_dataset, template_expno, 1, data_dir, user)
    DATASET(scratch_dataset, 1, 1, data_dir, user)

    last_beat_s = 0.0;
    while (!leave) {
        follow_configuration(0);
        follow_control();
        guard_is_safe();
        if (superseded()) {
            leave = 1;
        } else {
            if (!leave && next_step()) {
                last_beat_s = 0.0;
            } else {
                now_s = time(0);
                if (now_s - last_beat_s >= 30.0 || now_s < last_beat_s) {
                    write_heartbeat();
                    last_beat_s = now_s;
                }
                if (!leave) {
                    sleep(idle_s);
                }
            }
        }
    }
    return 0;
}

/* `tuned`: a person says that the probe is tuned. */
int tuned_main(char *folder)
{
    FILE *f;
    char path[300];
    int number;

    strcpy(job, folder);
    config_no = 0;
    epoch = 0;
    seq = 1;
    follow_configuration(1);
    number = seq;    /* the first step that labctl knew to be open when it wrote guard.cfg */
    sprintf(path, "%s/steps/%06d.step", job, number + 1);
    while (there(path)) {
        number++;
        sprintf(path, "%s/steps/%06d.step", job, number + 1);
    }
    sprintf(path, "%s/operator/%06d.answer", job, number);
    f = fopen(path, "w");
    if (f == NULL) {
        return -1;
    }
    now_s = time(0);
    fprintf(f, "answer=tuned\ntime=%.0f\nend\n", now_s);
    fclose(f);
    return 0;
}
